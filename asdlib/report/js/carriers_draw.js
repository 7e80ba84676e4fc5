// Another fault: its bars, the normal clips' line, and the sums.
const bands = bars.data.left.length;
const at = Number(fault.value);
const first = at * statistics.length * bands;
const own = Array.from(shares[machine.value]).slice(first, first + statistics.length * bands);
const ordinary = Array.from(normal[machine.value]);

const split = (values) =>
  statistics.map((_, s) => values.slice(s * bands, (s + 1) * bands));
const stack = (parts) => parts.reduce(
  (ends, part) => [...ends, ends.at(-1).map((end, band) => end + part[band])],
  [new Array(bands).fill(0)]);
const named = (letter, columns) =>
  Object.fromEntries(columns.map((values, i) => [letter + i, values]));
const ends = stack(split(own));
bars.data = {...bars.data, ...named("v", split(own)), ...named("b", ends)};
const level = stack(split(ordinary)).at(-1);
line.data = {...line.data, y: [...level, level.at(-1)]};

const sum = (values) => values.reduce((a, b) => a + b, 0);
const parts = split(own).map(sum), normally = split(ordinary).map(sum);
const whole = squared[machine.value][at];
const most = parts.indexOf(Math.max(...parts));
const row = (name, part, expected) =>
  [name, part.toFixed(1), percent(part / (whole || 1)), expected.toFixed(1)];
const rows = [...statistics.map((name, s) => row(name, parts[s], normally[s])),
  row("D²", whole, sum(normally))];

const tallest = ends.at(-1).indexOf(Math.max(...ends.at(-1)));
const kilohertz = (edge) => edge[tallest].toPrecision(2);
const among = normals[machine.value]
  ? "D² is larger than that of " + above[machine.value][at] + " of " + normals[machine.value]
    + " normal test clips. "
  : "";
sums.text = table(["statistic", "contribution to D²", "share", "normal clips, mean"], rows,
    row => row[0] == statistics[most])
  + "<p>" + text(among + "The tallest bar is at " + kilohertz(bars.data.low) + " to "
    + kilohertz(bars.data.high) + " kHz.") + "</p>";
