// Count false alarms, misses and F1 of every machine and domain at its threshold.
// Thresholds and places are scores, or their logarithms.
const score = (place) => log ? 10 ** place : place;
own[menu.value] = slider.value;
line.location = score(slider.value);
span.setv({start: score(ends[menu.value][0]), end: score(ends[menu.value][1])});
const data = points.data;

const count = (machine, domain) => {
  let normal = 0, alarms = 0, anomalies = 0, misses = 0;
  for (let i = 0; i < data.place.length; i++) {
    if (data.machine[i] != machine || data.domain[i] != domain) continue;
    const above = data.place[i] > own[machine];
    if (data.label[i] == "normal") { normal++; alarms += above; }
    else { anomalies++; misses += !above; }
  }
  const hits = anomalies - misses;
  const all = hits + alarms + anomalies;
  const f1 = all ? (2 * hits / all).toFixed(2) : "n/a";
  return [alarms + " of " + normal, misses + " of " + anomalies, f1];
};

const machines = Object.keys(own).sort();
const rows = machines.flatMap(machine => ["source", "target"].map(
  domain => [machine, domain, score(own[machine]).toFixed(2), ...count(machine, domain)]));
const heads = ["machine", "domain", "threshold of the slider", "false alarms", "misses", "F1"];
counts.text = table(heads, rows, row => row[0] == menu.value);
