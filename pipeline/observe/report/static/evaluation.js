"use strict";
// Scored rows come from others: they reach the page as text (textContent), never as markup.
(() => {
  const PAGE = 20;
  const byId = (id) => document.getElementById(id);
  const {compares, metrics, rows} = JSON.parse(byId("scores-data").textContent);
  const number = new Intl.NumberFormat("en");

  for (const [at, row] of rows.entries()) {
    row.at = at;
    row.references ??= [];
    row.cells ??= [];
    const said = row.sides.flatMap((side) => [side.completion, side.answer, side.missing]);
    row.text = [`${row.name}`, ...said, ...row.references, ...row.cells.flat()].filter(Boolean).join("\n").toLowerCase();
    row.missing = [...new Set(row.sides.map((side) => side.missing).filter(Boolean))];
  }

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined && text !== null) {
      element.textContent = text;
      element.dir = "auto";
    }
    return element;
  }

  function figure(score, metric) {
    return score === null ? "–" : score.toFixed(metric.scale <= 10 ? 3 : 2);
  }

  function points(side) {
    const list = make("dl", "points");
    metrics.forEach((metric, at) => list.append(make("dt", "", metric.title), make("dd", "", figure(side.scores[at], metric))));
    return list;
  }

  function cell(column, ...inside) {
    const td = make("td");
    td.dataset.column = column;
    td.append(...inside);
    return td;
  }

  function side(column, each) {
    const inside = [];
    if (each.missing) {
      const line = make("p", "tags");
      line.append(make("span", "tag due", each.missing));
      inside.push(line);
    }
    if (each.completion) inside.push(make("p", "completion", each.completion));
    else inside.push(make("p", "completion none", "no completion"));
    if (each.answer !== undefined) {
      const line = make("p", "answer", "answer found: ");
      line.append(make("b", "", each.answer));
      inside.push(line);
    }
    if (compares) inside.push(points(each));
    return cell(column, ...inside);
  }

  function references(row) {
    const list = make("ul", "references");
    for (const each of row.references) list.append(make("li", "", each));
    return list;
  }

  function line(row) {
    const tr = make("tr");
    const first = make("th");
    first.scope = "row";
    first.append(make("span", "name", compares ? row.name : `row ${number.format(row.name)}`));
    if (row.cells.length) {
      const list = make("dl", "cells");
      for (const [name, text] of row.cells) list.append(make("dt", "", name), make("dd", "", text));
      first.append(list);
    }
    tr.append(first);
    if (compares) tr.append(side("a", row.sides[0]), side("b", row.sides[1]));
    else tr.append(side("Completion", row.sides[0]));
    tr.append(cell(row.references.length > 1 ? "References" : "Reference", references(row)));
    if (!compares) tr.append(cell("Scores", points(row.sides[0])));
    return tr;
  }

  function table(some) {
    const whole = make("table", compares ? "scored-rows flips" : "scored-rows");
    const head = make("thead");
    const titles = make("tr");
    for (const title of compares ? ["Row", "a", "b", "References"] : ["Row", "Completion", "References", "Scores"]) {
      const each = make("th", "", title);
      each.scope = "col";
      titles.append(each);
    }
    head.append(titles);
    const body = make("tbody");
    body.append(...some.map(line));
    whole.append(head, body);
    return whole;
  }

  // What a row is put in order by: how bad it is by one metric, or how much b has lost by it.
  function badness(row, at) {
    const better = metrics[at].higher ? 1 : -1;
    const scores = row.sides.map((each) => each.scores[at]);
    if (compares) return better * ((scores[1] ?? 0) - (scores[0] ?? 0));
    return scores[0] === null ? -Infinity : better * scores[0];
  }

  let matching = rows;
  let page = 0;

  function filter() {
    const wanted = byId("scores-text").value.trim().toLowerCase();
    const missing = byId("scores-missing").value;
    const order = byId("scores-order").value;
    matching = rows.filter(
      (row) =>
        (!wanted || row.text.includes(wanted)) &&
        (!missing || (missing === "none" ? !row.missing.length : row.missing.includes(missing.slice(1)))),
    );
    if (order) {
      const [way, at] = order.split(" ");
      const keys = new Map(matching.map((row) => [row, way === "row" ? row.name : badness(row, Number(at))]));
      const turn = way === "best" ? -1 : 1;
      matching.sort((one, other) => {
        const a = keys.get(one);
        const b = keys.get(other);
        return a < b ? -turn : a > b ? turn : one.at - other.at;
      });
    }
    byId("scores-clear").disabled = !wanted && !missing && !order;
    page = 0;
    show();
  }

  function show() {
    const pages = Math.max(1, Math.ceil(matching.length / PAGE));
    const some = matching.slice(page * PAGE, (page + 1) * PAGE);
    byId("scores-shown").replaceChildren(...(some.length ? [table(some)] : []));
    const all = rows.length === 1 ? "1 row" : `${number.format(rows.length)} rows`;
    byId("scores-matches").textContent =
      matching.length === rows.length ? all : matching.length ? `${number.format(matching.length)} of ${all} match` : `None of ${all} matches`;
    for (const turns of document.querySelectorAll(".turns")) {
      turns.hidden = pages === 1;
      turns.querySelector(".previous").disabled = page === 0;
      turns.querySelector(".next").disabled = page === pages - 1;
      turns.querySelector(".where").textContent = `Page ${page + 1} of ${pages}`;
    }
  }

  function turn(step, below) {
    page += step;
    show();
    if (below) byId("scores-rows").scrollIntoView();
  }

  for (const turns of document.querySelectorAll(".turns")) {
    const below = turns.parentElement.classList.contains("below");
    turns.querySelector(".previous").addEventListener("click", () => turn(-1, below));
    turns.querySelector(".next").addEventListener("click", () => turn(1, below));
  }

  const kinds = new Map();
  for (const row of rows) for (const each of row.missing) kinds.set(each, (kinds.get(each) || 0) + 1);
  const missing = byId("scores-missing");
  missing.append(new Option("any", ""), new Option("nothing missing", "none"));
  for (const [kind, count] of [...kinds].sort((a, b) => b[1] - a[1])) missing.append(new Option(`${kind} (${number.format(count)})`, `=${kind}`));
  missing.parentElement.hidden = !kinds.size;

  const order = byId("scores-order");
  order.append(new Option(compares ? "largest differences" : "worst first", ""));
  if (!compares) order.append(new Option("as in the file", "row"));
  metrics.forEach((metric, at) => {
    order.append(new Option(compares ? `b loses most: ${metric.title}` : `worst: ${metric.title}`, `worst ${at}`));
    order.append(new Option(compares ? `b wins most: ${metric.title}` : `best: ${metric.title}`, `best ${at}`));
  });

  byId("scores-text").addEventListener("input", filter);
  missing.addEventListener("change", filter);
  order.addEventListener("change", filter);
  byId("scores-filters").addEventListener("submit", (event) => event.preventDefault());
  byId("scores-clear").addEventListener("click", () => {
    for (const id of ["scores-text", "scores-missing", "scores-order"]) byId(id).value = "";
    filter();
  });
  byId("scores-filters").hidden = !rows.length;
  filter();
})();
