-- Whoever exports gold says which code computed it.
grant select on ops.fingerprints to :"reader";
