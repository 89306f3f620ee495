// Predicts rows from a file of coefficients, with nothing but the language.
const fs = require("fs");
const [model, rows] = process.argv.slice(2).map((path) => JSON.parse(fs.readFileSync(path, "utf8")));
function term(t, row) {
  let value = row[t.column];
  if (t.element !== undefined && value !== null) value = value[t.element];
  if (value === null && t.mean === null) return NaN; // the offset
  if (t.type === "number") return value === null ? t.coef * t.mean + t.null : t.coef * value;
  if (value === null) return t.null;
  const levels = new Map(Object.entries(t.levels));
  return levels.has(String(value)) ? levels.get(String(value)) : t.other;
}
const predict = (row) => model.terms.reduce((sum, t) => sum + term(t, row), model.intercept);
console.log(JSON.stringify(rows.map(predict)));
