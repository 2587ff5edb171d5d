// Tables that sort, search and page; the screen's choices; times in a zone; values under the pointer. No network, no storage.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = selector => document.querySelector(selector);
document.documentElement.classList.add("ready");
// before any table takes rows out of the page
const times = all("time");
const screen = one("table#screen-table");

for (const table of all("table")) {
  const heads = all("thead th", table).map(head => head.textContent);
  for (const row of table.tBodies[0].rows) {
    [...row.cells].forEach((cell, place) => { cell.dataset.label = heads[place]; });
  }
}

const words = {
  search: "", searchPlaceholder: "search", info: "_START_ to _END_ of _TOTAL_", infoEmpty: "none", infoFiltered: "(of _MAX_)",
  zeroRecords: "Nothing fits: change the search or the choices.", lengthMenu: "_MENU_ a page", emptyTable: "",
  paginate: {first: "«", last: "»", next: "›", previous: "‹"},
  aria: {orderable: ": sort", orderableReverse: ": sort the other way", orderableRemove: ": as it came",
         paginate: {first: "first page", last: "last page", next: "next page", previous: "page before"}},
};
// nothing is cut off: a table that is wider than its place is stacked, and stays so until the place changes
const fit = table => {
  if (table.offsetWidth && table.offsetWidth > table.parentElement.clientWidth + 1) table.classList.add("stacked");
};
const refit = tables => {
  for (const table of tables) { table.classList.remove("stacked"); fit(table); }
};
const isNarrow = matchMedia("(max-width: 720px)").matches;
const grids = [];
const grid = (table, options) => {
  const count = table.tBodies[0].rows.length;
  const rows = isNarrow ? 5 : 10;
  const pages = count > rows;
  const made = new DataTable(table, {
    autoWidth: false, drawCallback: () => fit(table), order: [], language: words, paging: pages, pageLength: rows, lengthMenu: [rows, 25, 100, {label: "all", value: -1}],
    layout: {topStart: count > 5 ? "search" : null, topEnd: null, bottomStart: pages ? "info" : null, bottomEnd: pages ? ["pageLength", "paging"] : null},
    ...options,
  });
  grids.push(made);
  return made;
};

for (const table of all("table[data-grid]")) {
  grid(table, {columnDefs: [{targets: all("thead th.n", table).map(head => head.cellIndex), orderSequence: ["desc", "asc", ""]}]});
}

if (screen) {
  for (const [name, selector] of [["fair", ".fair small"], ["best", ".top-price small"]]) {
    for (const word of all(selector, screen)) word.dataset.label = `${name} · `;
  }
  for (const cell of all("td.book", screen)) cell.classList.toggle("hollow", !cell.firstChild);
  // which books have a price, before columns are taken out
  const cellsOf = new Map([...screen.tBodies[0].rows].map(row => [
    row, [...row.cells].slice(3).flatMap((cell, place) => cell.classList.contains("hollow") ? [] : [place]),
  ]));
  const games = grid(screen, {layout: {topStart: () => one(".picks"), topEnd: "search", bottomStart: "info", bottomEnd: ["pageLength", "paging"]}, paging: true, ...(isNarrow ? {} : {pageLength: 25}), columnDefs: [{targets: "_all", orderSequence: ["asc", "desc", ""]}, {targets: all("thead th", screen).slice(1).map(head => head.cellIndex), orderable: false}]});
  const picks = {market: one("#pick-market"), sport: one("#pick-sport"), book: one("#pick-book")};
  games.search.fixed("picks", (text, data, index) => {
    const row = games.row(index).node();
    return ["market", "sport"].every(name => !picks[name].value || row.dataset[name] === picks[name].value);
  });
  const choose = () => {
    games.draw();
    // a book without a price among what is chosen takes no room, but where it is the choice
    const rows = games.rows({search: "applied"}).nodes().toArray();
    const quoting = new Set(rows.flatMap(row => cellsOf.get(row)));
    games.columns(".book").every(function () {
      const place = this.index() - 3;
      this.visible(picks.book.value ? Number(picks.book.value) === place : quoting.has(place) || !rows.length, false);
    });
    refit([screen]);
  };
  for (const pick of Object.values(picks)) pick.addEventListener("change", choose);
  one(".picks").hidden = false;
  choose();
}

for (const fold of all("details")) fold.addEventListener("toggle", () => refit(all("table", fold)));
addEventListener("resize", () => refit(all("table")));
refit(all("table"));

const zone = one("#zone");
const show = () => {
  const timeZone = zone.value || undefined;
  const format = new Intl.DateTimeFormat("en-GB", {weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone});
  for (const time of times) {
    const parts = Object.fromEntries(format.formatToParts(new Date(time.dateTime)).map(part => [part.type, part.value]));
    time.textContent = `${parts.weekday} ${parts.day} ${parts.month} ${parts.hour}:${parts.minute}`;
  }
  // what is searched is what is read
  for (const made of grids) made.rows().invalidate();
  one(".zone-name").textContent = zone.value ? zone.selectedOptions[0].textContent : new Intl.DateTimeFormat().resolvedOptions().timeZone;
};
zone.addEventListener("change", show);
one(".zone").hidden = false;

// a value holds from its step to the next: the path's own words are read again
const steps = path => {
  const found = [];
  let x = 0, y = 0;
  for (const [, letter, first, second] of path.getAttribute("d").matchAll(/([MHV])(\d+)(?: (\d+))?/g)) {
    if (letter === "M") [x, y] = [Number(first), Number(second)];
    else if (letter === "V") y = Number(first);
    else { found.push([x, Number(first), y]); x = Number(first); }
  }
  return found;
};
for (const chart of all(".chart")) {
  const {from, to, low, high, unit} = chart.dataset;
  const reading = chart.querySelector(".reading"), field = chart.querySelector(".field");
  const lines = all("path", chart).map(path => [path.dataset.name, steps(path)]).reverse();
  field.addEventListener("pointermove", event => {
    const box = field.getBoundingClientRect();
    const x = 1000 * (event.clientX - box.left) / box.width;
    const at = new Date(Date.parse(from) + (Date.parse(to) - Date.parse(from)) * x / 1000);
    const moment = new Intl.DateTimeFormat("en-GB", {weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: zone.value || undefined}).format(at);
    const values = lines.flatMap(([name, held]) => {
      const step = held.find(([begins, ends]) => begins <= x && x < ends);
      return step ? [`${name} ${(Number(high) - (Number(high) - Number(low)) * step[2] / 1000).toFixed(1)}${unit && " " + unit}`] : [];
    });
    reading.textContent = `${moment}: ${values.join(", ") || "no quote"}`;
    reading.hidden = false;
  });
  field.addEventListener("pointerleave", () => { reading.hidden = true; });
}
