// Count false alarms, misses and F1 of every machine and domain at its threshold.
own[menu.value] = slider.value;
line.location = slider.value;
const data = points.data;

const count = (machine, domain) => {
  let normal = 0, alarms = 0, anomalies = 0, misses = 0;
  for (let i = 0; i < data.score.length; i++) {
    if (data.machine[i] != machine || data.domain[i] != domain) continue;
    const above = data.score[i] > own[machine];
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
  domain => [machine, domain, own[machine].toFixed(2), ...count(machine, domain)]));
const heads = ["machine", "domain", "threshold", "false alarms", "misses", "F1"];
counts.text = table(heads, rows, row => row[0] == menu.value);
