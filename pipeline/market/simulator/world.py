"""The simulated world's fixed part: sports, teams, names, books. Players, golfers and fighters are invented."""

from __future__ import annotations

from dataclasses import dataclass

HOUR = 3600
DAY = 86400


@dataclass(frozen=True, slots=True)
class Sport:
    """One sport of the catalogue and how its games and prices behave.

    Attributes:
        key, group, title, description: as ``/sports`` shows them.
        kind: ``football``, ``basketball``, ``soccer``, ``baseball``, ``fight``, ``outright``, or ``none`` (never plays).
        teams: the league.
        margin_sd, total_mean, total_sd, home_edge, rating_sd: in points (runs, goals).
        duration: shortest and longest seconds from the true start to the end.
        linger: shortest and longest seconds from the end until the event is gone from the odds.
        lead: shortest and longest seconds before the start at which an event is first listed.
        rewritten: share of events whose start is rewritten to the true one.
        delayed: share of events that are pushed back in 5-minute steps around the start.
        nudged: share that move by a few minutes days ahead.
        flapped: share that move by an hour and back, days ahead.
        moved: share that move by many hours, days ahead.
        corrected: share whose start is rewritten by hours after it happened.
        rained: share that start hours late.
        withdrawn: share that vanish before the start and come back.
        reissued: share that are withdrawn and carried on under a second id.
        join_skew: how late books join an event; 1 = evenly over its life, larger = nearer to the start.
        start_delay: shortest and longest seconds from the scheduled to the true start.
        walk: size of the drift of the fair margin, in points.
        tempo: factor on the time between two moves of the market; below 1 = livelier.
        has_scores: whether ``/scores`` covers it.
        has_rotation: whether rotation numbers exist.
    """

    key: str
    group: str
    title: str
    description: str
    kind: str = "none"
    teams: tuple[str, ...] = ()
    margin_sd: float = 1.0
    total_mean: float = 0.0
    total_sd: float = 1.0
    home_edge: float = 0.0
    rating_sd: float = 0.0
    duration: tuple[int, int] = (7200, 7200)
    linger: tuple[int, int] = (300, 900)
    lead: tuple[int, int] = (DAY, 2 * DAY)
    rewritten: float = 0.0
    delayed: float = 0.0
    nudged: float = 0.0
    flapped: float = 0.0
    moved: float = 0.0
    corrected: float = 0.0
    rained: float = 0.0
    withdrawn: float = 0.0
    reissued: float = 0.0
    join_skew: int = 1
    start_delay: tuple[int, int] = (20, 480)
    walk: float = 1.0
    tempo: float = 1.0
    has_scores: bool = False
    has_rotation: bool = False


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", " ").split(",") if part.strip())


_NFL = _names("""Arizona Cardinals, Atlanta Falcons, Baltimore Ravens, Buffalo Bills, Carolina Panthers, Chicago Bears,
    Cincinnati Bengals, Cleveland Browns, Dallas Cowboys, Denver Broncos, Detroit Lions, Green Bay Packers, Houston Texans,
    Indianapolis Colts, Jacksonville Jaguars, Kansas City Chiefs, Las Vegas Raiders, Los Angeles Chargers, Los Angeles Rams,
    Miami Dolphins, Minnesota Vikings, New England Patriots, New Orleans Saints, New York Giants, New York Jets,
    Philadelphia Eagles, Pittsburgh Steelers, San Francisco 49ers, Seattle Seahawks, Tampa Bay Buccaneers, Tennessee Titans,
    Washington Commanders""")
_NCAAF = _names("""Alabama Crimson Tide, Arizona State Sun Devils, Arkansas Razorbacks, Army Black Knights, Auburn Tigers,
    Baylor Bears, Boise State Broncos, Boston College Eagles, BYU Cougars, California Golden Bears, Cincinnati Bearcats,
    Clemson Tigers, Colorado Buffaloes, Duke Blue Devils, East Carolina Pirates, Florida Gators, Florida State Seminoles,
    Fresno State Bulldogs, Georgia Bulldogs, Georgia Tech Yellow Jackets, Hawaii Rainbow Warriors, Houston Cougars,
    Illinois Fighting Illini, Indiana Hoosiers, Iowa Hawkeyes, Iowa State Cyclones, James Madison Dukes, Kansas Jayhawks,
    Kansas State Wildcats, Kentucky Wildcats, Louisville Cardinals, LSU Tigers, Marshall Thundering Herd, Maryland Terrapins,
    Memphis Tigers, Miami Hurricanes, Michigan Wolverines, Michigan State Spartans, Minnesota Golden Gophers,
    Mississippi State Bulldogs, Missouri Tigers, Navy Midshipmen, NC State Wolfpack, Nebraska Cornhuskers,
    North Carolina Tar Heels, North Dakota State Bison, Northwestern Wildcats, Notre Dame Fighting Irish, Ohio State Buckeyes,
    Oklahoma Sooners, Oklahoma State Cowboys, Ole Miss Rebels, Oregon Ducks, Penn State Nittany Lions, Pittsburgh Panthers,
    Purdue Boilermakers, Rutgers Scarlet Knights, San José State Spartans, South Carolina Gamecocks, Stanford Cardinal,
    Syracuse Orange, TCU Horned Frogs, Tennessee Volunteers, Texas A&M Aggies, Texas Longhorns, Toledo Rockets,
    Troy Trojans, Tulane Green Wave, UCLA Bruins, USC Trojans, Utah Utes, Vanderbilt Commodores, Virginia Cavaliers,
    Virginia Tech Hokies, Wake Forest Demon Deacons, Washington Huskies, West Virginia Mountaineers, Wisconsin Badgers""")
_NBA = _names("""Atlanta Hawks, Boston Celtics, Brooklyn Nets, Charlotte Hornets, Chicago Bulls, Cleveland Cavaliers,
    Dallas Mavericks, Denver Nuggets, Detroit Pistons, Golden State Warriors, Houston Rockets, Indiana Pacers,
    Los Angeles Clippers, Los Angeles Lakers, Memphis Grizzlies, Miami Heat, Milwaukee Bucks, Minnesota Timberwolves,
    New Orleans Pelicans, New York Knicks, Oklahoma City Thunder, Orlando Magic, Philadelphia 76ers, Phoenix Suns,
    Portland Trail Blazers, Sacramento Kings, San Antonio Spurs, Toronto Raptors, Utah Jazz, Washington Wizards""")
_WNBA = _names("""Atlanta Dream, Chicago Sky, Connecticut Sun, Dallas Wings, Indiana Fever, Las Vegas Aces, Los Angeles Sparks,
    Minnesota Lynx, New York Liberty, Phoenix Mercury, Seattle Storm, Washington Mystics""")
_MLB = _names("""Arizona Diamondbacks, Athletics, Atlanta Braves, Baltimore Orioles, Boston Red Sox, Chicago Cubs,
    Chicago White Sox, Cincinnati Reds, Cleveland Guardians, Colorado Rockies, Detroit Tigers, Houston Astros,
    Kansas City Royals, Los Angeles Angels, Los Angeles Dodgers, Miami Marlins, Milwaukee Brewers, Minnesota Twins,
    New York Mets, New York Yankees, Philadelphia Phillies, Pittsburgh Pirates, San Diego Padres, San Francisco Giants,
    Seattle Mariners, St. Louis Cardinals, Tampa Bay Rays, Texas Rangers, Toronto Blue Jays, Washington Nationals""")
_EPL = _names(
    """Arsenal, Aston Villa, Bournemouth, Brentford, Brighton and Hove Albion, Chelsea, Crystal Palace, Everton,
    Fulham, Ipswich Town, Leicester City, Liverpool, Manchester City, Manchester United, Newcastle United,
    Nottingham Forest, Southampton, Tottenham Hotspur, West Ham United, Wolverhampton Wanderers"""
)

FIRST_NAMES = _names(
    """Aaron, Adrian, Andre, Anton, Ben, Bruno, Caleb, Carlos, Chris, Damian, Darius, Dejan, Devin, Diego, Elias,
    Emil, Ethan, Evan, Felix, Finn, Gabriel, Goran, Henrik, Isaiah, Ivan, Jalen, Jakob, Jamal, Jonas, Jordan,
    José, Kai, Keegan, Kofi, Lars, Leon, Luka, Malik, Marcus, Mateo, Miles, Moritz, Nikola, Noah, Omar, Oscar,
    Pascal, Quinn, Rafael, Rashid, Rory, Sebastián, Soren, Tariq, Théo, Tobias, Tyrese, Viktor, Xavier, Zach"""
)
LAST_NAMES = _names(
    """Abara, Adeyemi, Alvarado, Baptiste, Barlow, Beckett, Bergström, Brandt, Caldwell, Castellan, Clarke-Hale,
    Crowder, Dašić, Delacroix, Dempsey, Dillard, Eastman, Ellery, Farrow, Fontaine, Garrity, Giordano, Grantham,
    Hadley, Halvorsen, Hollis, Ibarra, Jovanić, Keane, Kessler, Kovač, Lindqvist, Lockhart, Maddox, Marchetti,
    Mbeki-Lang, McAllister, Merriweather, Núñez, O'Rourke, Okafor, Osei, Pemberton, Petrović, Quarles,
    Radcliffe, Ransome, Redfern, Sandoval, Sinclair, St. Clair, Strand, Tanaka, Thackeray, Underhill,
    Vandermeer, Vukić, Wainwright, Whitlock, Yarrow"""
)


_COLLEGE = Sport(
    "americanfootball_ncaaf",
    "American Football",
    "NCAAF",
    "US College Football",
    "football",
    _NCAAF,
    margin_sd=15.0,
    total_mean=53.0,
    total_sd=14.0,
    home_edge=2.4,
    rating_sd=7.0,
    duration=(int(2.9 * HOUR), int(3.5 * HOUR)),
    lead=(6 * DAY, int(8.5 * DAY)),
    rewritten=0.40,
    delayed=0.08,
    nudged=0.03,
    moved=0.05,
    corrected=0.05,
    rained=0.05,
    withdrawn=0.14,
    join_skew=5,
    start_delay=(20, 240),
    walk=2.2,
    tempo=5.0,
    has_scores=True,
    has_rotation=True,
)
_PRO_FOOTBALL = Sport(
    "americanfootball_nfl",
    "American Football",
    "NFL",
    "US Football",
    "football",
    _NFL,
    margin_sd=12.5,
    total_mean=44.5,
    total_sd=12.5,
    home_edge=1.6,
    rating_sd=3.6,
    duration=(int(2.9 * HOUR), int(3.5 * HOUR)),
    lead=(int(7.5 * DAY), 13 * DAY),
    rewritten=0.74,
    delayed=0.10,
    nudged=0.28,
    flapped=0.20,
    moved=0.02,
    withdrawn=0.80,
    join_skew=1,
    start_delay=(20, 240),
    walk=1.6,
    tempo=1.8,
    has_scores=True,
    has_rotation=True,
)

SPORTS: tuple[Sport, ...] = (
    _COLLEGE,
    _PRO_FOOTBALL,
    Sport("americanfootball_nfl_preseason", "American Football", "NFL Preseason", "US Football"),
    Sport("aussierules_afl", "Aussie Rules", "AFL", "Aussie Football"),
    Sport("baseball_kbo", "Baseball", "KBO", "KBO League"),
    Sport(
        "baseball_mlb",
        "Baseball",
        "MLB",
        "Major League Baseball",
        "baseball",
        _MLB,
        margin_sd=4.2,
        total_mean=8.6,
        total_sd=4.3,
        home_edge=0.15,
        rating_sd=0.55,
        duration=(int(2.3 * HOUR), int(3.1 * HOUR)),
        lead=(int(0.8 * DAY), int(1.6 * DAY)),
        rewritten=0.16,
        delayed=0.025,
        nudged=0.03,
        rained=0.03,
        withdrawn=0.07,
        reissued=0.012,
        join_skew=1,
        start_delay=(20, 300),
        walk=0.55,
        tempo=0.75,
        has_scores=True,
        has_rotation=True,
    ),
    Sport(
        "basketball_nba",
        "Basketball",
        "NBA",
        "US Basketball",
        "basketball",
        _NBA,
        margin_sd=12.0,
        total_mean=228.0,
        total_sd=18.0,
        home_edge=2.2,
        rating_sd=5.0,
        duration=(int(2.1 * HOUR), int(2.5 * HOUR)),
        lead=(int(1.3 * DAY), int(2.4 * DAY)),
        rewritten=0.88,
        delayed=0.06,
        moved=0.003,
        withdrawn=0.02,
        reissued=0.004,
        join_skew=1,
        start_delay=(60, 720),
        walk=1.5,
        has_scores=True,
        has_rotation=True,
    ),
    Sport("basketball_ncaab", "Basketball", "NCAAB", "US College Basketball"),
    Sport(
        "basketball_wnba",
        "Basketball",
        "WNBA",
        "US Basketball",
        "basketball",
        _WNBA,
        margin_sd=11.0,
        total_mean=165.0,
        total_sd=15.0,
        home_edge=2.0,
        rating_sd=4.5,
        duration=(int(2.0 * HOUR), int(2.4 * HOUR)),
        lead=(int(1.5 * DAY), int(2.8 * DAY)),
        rewritten=0.93,
        delayed=0.06,
        withdrawn=0.02,
        reissued=0.004,
        join_skew=1,
        start_delay=(60, 600),
        walk=1.4,
        tempo=0.8,
        has_scores=True,
        has_rotation=True,
    ),
    Sport("cricket_ipl", "Cricket", "IPL", "Indian Premier League"),
    Sport(
        "golf_masters_tournament_winner",
        "Golf",
        "Masters Tournament Winner",
        "Winner",
        "outright",
        lead=(330 * DAY, 330 * DAY),
        duration=(int(3.4 * DAY), int(3.4 * DAY)),
        linger=(HOUR, 3 * HOUR),
    ),
    Sport("icehockey_nhl", "Ice Hockey", "NHL", "US Ice Hockey"),
    Sport(
        "mma_mixed_martial_arts",
        "Mixed Martial Arts",
        "MMA",
        "Mixed Martial Arts",
        "fight",
        margin_sd=1.0,
        rating_sd=0.55,
        duration=(600, 2400),
        linger=(600, 3600),
        lead=(12 * DAY, 27 * DAY),
        rewritten=0.15,
        delayed=0.25,
        nudged=0.20,
        withdrawn=0.06,
        join_skew=1,
        start_delay=(-1200, 2400),
        walk=0.16,
        has_scores=True,
    ),
    Sport("rugbyleague_nrl", "Rugby League", "NRL", "Aussie Rugby League"),
    Sport(
        "soccer_epl",
        "Soccer",
        "EPL",
        "English Premier League",
        "soccer",
        _EPL,
        margin_sd=1.62,
        total_mean=2.8,
        total_sd=1.62,
        home_edge=0.28,
        rating_sd=0.55,
        duration=(int(1.86 * HOUR), int(2.0 * HOUR)),
        linger=(900, 2400),
        lead=(10 * DAY, 16 * DAY),
        rewritten=0.34,
        delayed=0.04,
        moved=0.01,
        withdrawn=0.04,
        join_skew=1,
        start_delay=(20, 240),
        walk=0.16,
        tempo=0.6,
        has_scores=True,
    ),
    Sport("soccer_fifa_world_cup", "Soccer", "FIFA World Cup", "FIFA World Cup 2026"),
    Sport("tennis_atp_wimbledon", "Tennis", "ATP Wimbledon", "Men's Singles"),
)
SPORT_BY_KEY = {sport.key: sport for sport in SPORTS}

REGIONS = ("us", "us2", "us_dfs", "us_ex", "uk", "eu", "fr", "se", "au")


@dataclass(frozen=True, slots=True)
class Book:
    """A bookmaker.

    Attributes:
        key, title, regions: as the API has them.
        desk: books of one desk share their opinion (and, but for the margin, their lines).
        margin: overround of a balanced two-way market.
        ladder: key of ``maths.LADDERS``; the notation the book thinks in.
        lag: seconds by which its prices follow the market.
        in_play: share of events that it keeps quoting after the start.
        kinds: sport kinds that it quotes.
        lay: whether it sends lay markets.
        reads: seconds between two readings of its feed.
        quarter: whether it hangs quarter points in soccer.
        props: ``none``, ``main`` (one line a player), ``many`` (up to nine), ``over`` (one-sided).
    """

    key: str
    title: str
    regions: tuple[str, ...]
    desk: str
    margin: float
    ladder: str
    lag: int
    in_play: float
    kinds: str = "football basketball soccer baseball fight outright"
    lay: bool = False
    reads: int = 62
    quarter: bool = False
    props: str = "none"

    @property
    def exchange(self) -> bool:
        """Whether its prices are offers of other customers."""
        return self.lay or "us_ex" in self.regions


_US = "football basketball soccer baseball fight"
_A, _F, _D, _C = "american_coarse", "american_fine", "decimal_fine", "decimal_coarse"
BOOKS: tuple[Book, ...] = (
    Book("betonlineag", "BetOnline.ag", ("us", "eu"), "betonline", 0.0465, _F, 120, 0.75, _US, quarter=True, props="main"),
    Book("lowvig", "LowVig.ag", ("us",), "betonline", 0.0330, _F, 150, 0.70, _US, quarter=True),
    Book("betmgm", "BetMGM", ("us",), "betmgm", 0.0476, _A, 480, 0.60, props="main"),
    Book("betrivers", "BetRivers", ("us",), "kambi", 0.0600, _F, 540, 0.50, _US, props="many"),
    Book("betparx", "betPARX", ("us2",), "kambi", 0.0620, _F, 570, 0.50, _US, props="many"),
    Book("betus", "BetUS", ("us",), "betus", 0.0470, _A, 700, 0.40, _US),
    Book("bovada", "Bovada", ("us",), "bovada", 0.0476, _A, 420, 0.65, _US, props="main"),
    Book("williamhill_us", "Caesars", ("us",), "caesars", 0.0500, _A, 600, 0.55, props="main"),
    Book("draftkings", "DraftKings", ("us",), "draftkings", 0.0470, _A, 300, 0.80, props="main"),
    Book("fanatics", "Fanatics", ("us",), "fanatics", 0.0480, _A, 660, 0.45, _US),
    Book("fanduel", "FanDuel", ("us",), "fanduel", 0.0455, _A, 270, 0.80, props="main"),
    Book("mybookieag", "MyBookie.ag", ("us", "eu"), "mybookie", 0.0560, _F, 900, 0.35, _US, props="main"),
    Book("espnbet", "theScore Bet", ("us2",), "score", 0.0490, _A, 560, 0.50, _US, props="over"),
    Book("hardrockbet", "Hard Rock Bet", ("us2",), "hardrock", 0.0480, _A, 520, 0.45, _US),
    Book("kalshi", "Kalshi", ("us_ex",), "kalshi", 0.0260, _D, 60, 0.90, "football basketball baseball", reads=33),
    Book("novig", "Novig", ("us_ex",), "novig", 0.0190, _F, 90, 0.60, "football basketball baseball", reads=33),
    Book("prophetx", "ProphetX", ("us_ex",), "prophetx", 0.0220, _F, 100, 0.50, "football basketball baseball", reads=33),
    Book("sport888", "888sport", ("uk", "eu"), "888", 0.0600, _C, 620, 0.55),
    Book("betfair_ex_uk", "Betfair", ("uk",), "betfair", 0.0160, _D, 30, 0.95, lay=True, reads=31),
    Book("betfair_ex_eu", "Betfair", ("eu",), "betfair", 0.0160, _D, 30, 0.95, lay=True, reads=31),
    Book("betvictor", "Bet Victor", ("uk", "eu"), "betvictor", 0.0570, _C, 560, 0.50),
    Book("betway", "Betway", ("uk",), "betway", 0.0620, _C, 640, 0.50),
    Book("boylesports", "BoyleSports", ("uk",), "boyle", 0.0640, _C, 760, 0.40),
    Book("coral", "Coral", ("uk",), "entain", 0.0610, _C, 520, 0.55),
    Book("ladbrokes_uk", "Ladbrokes", ("uk",), "entain", 0.0610, _C, 520, 0.55),
    Book("matchbook", "Matchbook", ("uk", "eu"), "matchbook", 0.0190, _D, 45, 0.85, lay=True, reads=31),
    Book("paddypower", "Paddy Power", ("uk",), "paddy", 0.0580, _C, 430, 0.60),
    Book("skybet", "Sky Bet", ("uk",), "sky", 0.0600, _C, 450, 0.55),
    Book("smarkets", "Smarkets", ("uk",), "smarkets", 0.0190, _D, 50, 0.85, lay=True, reads=31),
    Book("unibet_uk", "Unibet (UK)", ("uk",), "kambi", 0.0600, _C, 540, 0.50),
    Book("williamhill", "William Hill", ("uk", "eu"), "hill", 0.0600, _C, 580, 0.50),
    Book("coolbet", "Coolbet", ("eu",), "coolbet", 0.0450, _D, 380, 0.50),
    Book("everygame", "Everygame", ("eu",), "everygame", 0.0560, _D, 820, 0.35),
    Book("gtbets", "GTbets", ("eu",), "gtbets", 0.0530, _D, 800, 0.30, _US),
    Book("marathonbet", "Marathon Bet", ("eu",), "marathon", 0.0440, _D, 350, 0.60, quarter=True),
    Book("nordicbet", "Nordic Bet", ("eu", "se"), "betsson", 0.0530, _D, 500, 0.45),
    Book("betsson", "Betsson", ("eu", "se"), "betsson", 0.0530, _D, 500, 0.45),
    Book("onexbet", "1xBet", ("eu",), "onexbet", 0.0420, _D, 240, 0.80, quarter=True, props="over"),
    Book("pinnacle", "Pinnacle", ("eu",), "pinnacle", 0.0310, _D, 0, 0.85, quarter=True, props="main"),
    Book("unibet_nl", "Unibet (NL)", ("eu",), "kambi", 0.0600, _D, 540, 0.50),
)
