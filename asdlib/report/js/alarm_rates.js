// Another wanted share of false alarms: the line, what was found there, and the numbers.
const far = (rate) => Math.abs(rate - slider.value);
const at = rates.reduce((best, rate, i) => far(rate) < far(rates[best]) ? i : best, 0);
const wanted = rates[at];
line.location = wanted;

const found = rows.map(row => row.alarms[at] + " of " + row.clips + " (" + percent(row.share[at])
  + ", " + percent(row.low[at]) + " to " + percent(row.high[at]) + ")");
const column = (name) => rows.map(row => row[name][at]);
points.data = {...points.data, found,
  share: column("share"), low: column("low"), high: column("high")};

const verdict = (row) => {
  if (row.what == "hits") return "";
  if (row.low[at] > wanted) return ", more than promised";
  return row.high[at] < wanted ? ", fewer than promised" : ", in agreement";
};
const name = (row) => row.system + ", " + row.rule;
const kinds = [...new Set(rows.map(row => row.what))].sort();  // hits come last
const cell = (who, what) => {
  const i = rows.findIndex(row => name(row) == who && row.what == what);
  return i < 0 ? "" : found[i] + verdict(rows[i]);
};
const promised = ["promised", ...kinds.map(what => what == "hits" ? "" : percent(wanted))];
const lines = [...new Set(rows.map(name))].map(who => [who, ...kinds.map(what => cell(who, what))]);

const unable = new Map(rows.filter(row => row.unable[at] > 0).map(row => [name(row), row]));
const on = (row) => row.machines == 1 ? "" : row.unable[at] == row.machines
  ? " on all machines" : " on " + row.unable[at] + " of " + row.machines + " machines";
const remarks = [...unable].map(([who, row]) => "<p>" + text(who + ": too few training clips to "
  + "promise " + percent(wanted) + on(row) + ". No clip is an alarm there.") + "</p>");
counts.text = table(["", ...kinds], [promised, ...lines], (row, s) => s.includes("more than"))
  + remarks.join("");
