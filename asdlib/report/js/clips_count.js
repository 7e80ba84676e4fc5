// Count false alarms, misses and F1 of every machine and domain at its threshold.
own[menu.value] = slider.value;
line.location = slider.value;
const data = points.data;

// names are text, never markup
const text = (s) => {
  const span = document.createElement("span");
  span.textContent = s;
  return span.innerHTML;
};

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

const rows = [];
for (const machine of Object.keys(own).sort()) {
  for (const domain of ["source", "target"]) {
    const values = [machine, domain, own[machine].toFixed(2), ...count(machine, domain)];
    const strong = machine == menu.value ? " style='font-weight:bold'" : "";
    const cells = values.map(v => "<td style='padding:1px 12px 1px 0'>" + text(v) + "</td>");
    rows.push("<tr" + strong + ">" + cells.join("") + "</tr>");
  }
}
const heads = ["machine", "domain", "threshold", "false alarms", "misses", "F1"]
  .map(h => "<th style='text-align:left;padding-right:12px'>" + h + "</th>");
counts.text = "<table><thead><tr>" + heads.join("") + "</tr></thead><tbody>" + rows.join("")
  + "</tbody></table>";
