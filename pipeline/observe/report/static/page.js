"use strict";
// Rows come from others: they reach the page as text (textContent) and as data: pictures, never as markup.
(() => {
  const PAGE = 24;
  const byId = (id) => document.getElementById(id);
  const rows = JSON.parse(byId("data").textContent);
  const place = byId("shown");
  const pictured = place.classList.contains("cards");
  const number = new Intl.NumberFormat("en");

  for (const row of rows) {
    row.pictures ??= [];
    row.references ??= [];
    row.marks ??= [];
    row.text = [row.name, row.prompt, row.completion, row.error, ...row.references].filter(Boolean).join("\n").toLowerCase();
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

  function called(row) {
    return `row ${number.format(row.index)}${row.name ? `, ${row.name}` : ""}`;
  }

  function picture(row, each) {
    const image = document.createElement("img");
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = `Picture ${each + 1} of ${called(row)}`;
    image.src = `data:image/jpeg;base64,${row.pictures[each]}`;
    return image;
  }

  function tags(row) {
    const line = make("p", "tags");
    line.append(make("span", `tag ${row.status === "ok" ? "good" : row.status === "failed" ? "bad" : "due"}`, row.status));
    if (row.kind) line.append(make("span", "tag bad", row.http ? `${row.kind} ${row.http}` : row.kind));
    if (row.finish && row.finish !== "stop") line.append(make("span", "tag", row.finish));
    for (const mark of row.marks) if (mark !== row.finish) line.append(make("span", "tag due", mark));
    return line;
  }

  function sent(row) {
    const said = [];
    if (row.tokens !== undefined) said.push(`${number.format(row.tokens)} tokens`);
    if (row.seconds !== undefined) said.push(`${row.seconds.toPrecision(3)} s`);
    if (row.cost) said.push(`cost ${row.cost.toPrecision(3)}`);
    return make("p", "sent", said.join(" · "));
  }

  function opener(row, className) {
    const button = make("button", className);
    button.type = "button";
    button.addEventListener("click", () => enlarge(row));
    return button;
  }

  function references(row) {
    const list = make("ul", "references");
    list.setAttribute("aria-label", row.references.length > 1 ? "References" : "Reference");
    for (const each of row.references) list.append(make("li", "", each));
    return list;
  }

  function reply(row) {
    return row.completion ? make("p", "completion", row.completion) : make("p", "completion none", row.error ? "no completion" : "empty");
  }

  function card(row) {
    const article = make("article", "card");
    const frame = opener(row, "frame");
    frame.setAttribute("aria-label", `Enlarge ${called(row)}`);
    if (row.pictures.length) frame.append(picture(row, 0));
    else frame.append(make("span", "unpictured", row.unpictured || "no picture"));
    if (row.pictures.length > 1) frame.append(make("span", "more-pictures", `+${row.pictures.length - 1}`));
    const body = make("div", "body");
    const head = make("div", "head");
    head.append(make("span", "index", `row ${number.format(row.index)}`), tags(row));
    body.append(head);
    if (row.name) body.append(make("p", "name", row.name));
    if (row.completion || !row.error) body.append(reply(row));
    if (row.error) body.append(make("p", "error", row.error));
    if (row.references.length) body.append(references(row));
    body.append(sent(row));
    article.append(frame, body);
    return article;
  }

  function table(some) {
    const whole = make("table", some.some((row) => row.name) ? "texts named" : "texts");
    const head = document.createElement("thead");
    const line = document.createElement("tr");
    for (const title of ["Row", "Prompt", "Completion"]) {
      const cell = make("th", "", title);
      cell.scope = "col";
      line.append(cell);
    }
    head.append(line);
    const body = document.createElement("tbody");
    for (const row of some) {
      const tr = document.createElement("tr");
      const first = make("th", "first");
      first.scope = "row";
      const open = opener(row, "open");
      open.textContent = number.format(row.index);
      open.setAttribute("aria-label", `Enlarge ${called(row)}`);
      first.append(open);
      if (row.name) first.append(make("p", "name", row.name));
      const prompt = document.createElement("td");
      prompt.append(make("p", "prompt", row.prompt));
      const completion = document.createElement("td");
      if (row.completion || !row.error) completion.append(reply(row));
      if (row.error) completion.append(make("p", "error", row.error));
      if (row.references.length) completion.append(references(row));
      const foot = make("div", "foot");
      foot.append(tags(row), sent(row));
      completion.append(foot);
      tr.append(first, prompt, completion);
      body.append(tr);
    }
    whole.append(head, body);
    return whole;
  }

  // Filters: one value each, and text that must stand somewhere in the row.
  const chosen = {status: "", finish: "", kind: "", mark: ""};
  const valuesOf = {
    status: (row) => [row.status],
    finish: (row) => (row.finish ? [row.finish] : []),
    kind: (row) => (row.kind ? [row.kind] : []),
    mark: (row) => row.marks,
  };
  let matching = rows;
  let page = 0;

  function offer(name) {
    const counts = new Map();
    for (const row of rows) for (const value of valuesOf[name](row)) counts.set(value, (counts.get(value) || 0) + 1);
    const select = byId(name);
    select.append(new Option("any", ""));
    for (const [value, count] of [...counts].sort((a, b) => b[1] - a[1])) {
      select.append(new Option(`${value} (${number.format(count)})`, value));
    }
    select.parentElement.hidden = counts.size === 0;
    select.addEventListener("change", () => {
      chosen[name] = select.value;
      filter();
    });
  }

  function filter() {
    const wanted = byId("text").value.trim().toLowerCase();
    const names = Object.keys(chosen).filter((name) => chosen[name]);
    matching = rows.filter(
      (row) => (!wanted || row.text.includes(wanted)) && names.every((name) => valuesOf[name](row).includes(chosen[name])),
    );
    byId("clear").disabled = !wanted && !names.length;
    page = 0;
    show();
  }

  function show() {
    const pages = Math.max(1, Math.ceil(matching.length / PAGE));
    const some = matching.slice(page * PAGE, (page + 1) * PAGE);
    place.replaceChildren(...(!some.length ? [] : pictured ? some.map(card) : [table(some)]));
    const all = rows.length === 1 ? "1 row" : `${number.format(rows.length)} rows`;
    byId("matches").textContent =
      matching.length === rows.length ? all : matching.length ? `${number.format(matching.length)} of ${all} match` : `None of ${all} matches`;
    for (const pager of document.querySelectorAll(".pager")) {
      pager.hidden = pages === 1;
      pager.querySelector(".previous").disabled = page === 0;
      pager.querySelector(".next").disabled = page === pages - 1;
      pager.querySelector(".where").textContent = `Page ${page + 1} of ${pages}`;
    }
  }

  function turn(step, below) {
    page += step;
    show();
    if (below) byId("gallery").scrollIntoView();
  }

  for (const pager of document.querySelectorAll(".pager")) {
    const below = pager.parentElement.classList.contains("below");
    pager.querySelector(".previous").addEventListener("click", () => turn(-1, below));
    pager.querySelector(".next").addEventListener("click", () => turn(1, below));
  }
  Object.keys(chosen).forEach(offer);
  byId("text").addEventListener("input", filter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => choose({}));

  function choose(these) {
    byId("text").value = "";
    for (const name of Object.keys(chosen)) byId(name).value = chosen[name] = these[name] || "";
    filter();
  }

  // One row, enlarged.
  const dialog = byId("enlarged");
  let current = null;

  function enlarge(row) {
    current = row;
    byId("enlarged-title").textContent = `Row ${number.format(row.index)}`;
    const body = byId("enlarged-body");
    const pictures = make("div", "pictures");
    row.pictures.forEach((_, each) => pictures.append(picture(row, each)));
    const parts = [...(row.name ? [make("p", "name", row.name)] : []), tags(row)];
    const part = (name, className, text) => parts.push(make("h3", "", name), make("p", className, text));
    if (row.completion || !row.error) parts.push(make("h3", "", "Completion"), reply(row));
    if (row.error) part("Error", "error", row.error);
    if (row.references.length) parts.push(make("h3", "", row.references.length > 1 ? "References" : "Reference"), references(row));
    if (row.prompt) part("Prompt", "prompt", row.prompt);
    if (row.finish) part("Finish reason", "", row.finish);
    parts.push(sent(row));
    const words = make("div", "words");
    words.append(...parts);
    body.replaceChildren(...(row.pictures.length ? [pictures] : []), words);
    body.scrollTop = 0;
    byId("earlier").disabled = matching.indexOf(row) <= 0;
    byId("later").disabled = matching.indexOf(row) === matching.length - 1;
    if (!dialog.open) dialog.showModal();
  }

  function step(by) {
    const next = matching[matching.indexOf(current) + by];
    if (next) enlarge(next);
  }

  byId("earlier").addEventListener("click", () => step(-1));
  byId("later").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });

  for (const button of document.querySelectorAll("button.show")) {
    const kind = button.dataset.kind;
    button.hidden = !rows.some((row) => row.kind === kind);
    button.addEventListener("click", () => {
      choose({kind});
      byId("gallery").scrollIntoView();
    });
  }

  byId("filters").hidden = false;
  filter();
})();
