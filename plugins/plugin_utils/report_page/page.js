// Copyright: the kubeproxy.ipvs authors. SPDX-License-Identifier: GPL-3.0-or-later
// The table of nodes: filter, sort, details. Texts of nodes are only ever set as text, never as mark-up.
"use strict";
(() => {
  const CHUNK = 100;
  const CHANGES = ["worse", "new", "read_again", "other", "better", "unchanged"];
  const data = JSON.parse(document.getElementById("data").textContent);
  const words = data.verdicts.map(([word]) => word);
  const meaning = new Map(data.verdicts);
  const actions = new Map(data.actions.map(([name, what, run]) => [name, { what, run }]));
  const advice = new Map(data.advice.map(([name, what, run, why]) => [name, { what, run, why }]));
  const byId = (id) => document.getElementById(id);
  const number = new Intl.NumberFormat("en");
  const collator = new Intl.Collator("en", { numeric: true });

  const pooled = (place) => (place === null || place === undefined ? null : data.pool[place]);
  const rankOf = (word) => { const rank = words.indexOf(word); return rank < 0 ? words.indexOf("unknown") : rank; };
  const list = (value) => (Array.isArray(value) ? value : []);
  const has = (object, key) => object !== null && typeof object === "object" && Object.prototype.hasOwnProperty.call(object, key);
  const part = (object, key) => (has(object, key) ? object[key] : undefined);

  const nodes = data.nodes.map((row) => {
    const node = {};
    data.fields.forEach((field, index) => { node[field] = index < 2 ? row[index] : pooled(row[index]); });
    node.findings = list(node.findings);
    node.ranks = data.moments.map(([moment]) => rankOf(part(part(node.moments, moment), "verdict")));
    node.action = String(part(node.plan, "action"));
    node.severity = node.findings.length ? data.severities.indexOf(node.findings[0].severity) : data.severities.length;
    node.result = data.repair ? String(part(node.repair, "result") || "") : "";
    node.own = node.own === null ? node.name : node.own;
    node.report = node.report === null ? "" : String(node.report);
    node.happened = list(node.happened);
    node.planned = data.forecast ? String(part(node.forecast, "verdict") || "") : "";
    return node;
  });
  // What the text filter searches in; made once, parts that many nodes share are only joined.
  for (const node of nodes) {
    node.search = [node.name, words[node.rank], node.kernel, node.os, node.kube_proxy, node.form, node.mode, node.action, node.result, node.report,
      ...node.findings.map((finding) => finding.key)].join("\n").toLowerCase();
  }
  [...nodes].sort((left, right) => collator.compare(left.name, right.name)).forEach((node, index) => { node.order = index; });

  const el = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined) { element.setAttribute(name, value); }
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const bdi = (value) => { const element = document.createElement("bdi"); element.textContent = String(value) || "\u2013"; return element; };
  const chip = (word) => el("span", { class: "chip " + (words.includes(word) || data.severities.includes(word) ? word : "unknown") }, String(word));
  const value = (entry) => { const found = part(entry, "value"); return found === null || found === undefined ? "?" : String(found); };
  const accepted = (entry) => { const waived = part(entry, "waived"); return waived ? el("span", {}, " ", el("span", { class: "mark" }, "waived"), " until ", bdi(waived.until), ": ", bdi(waived.reason)) : null; };
  const marked = (entry) => (part(entry, "waived") ? el("span", {}, " ", el("span", { class: "mark" }, "waived")) : null);
  const moment = (entry) => el("span", {}, chip(part(entry, "verdict") || "unknown"), " " + value(entry));
  const run = (template, name) => {
    const plain = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/.test(name) ? name : "NODE";
    return el("pre", {}, el("code", {}, template.split("{node}").join(plain)));
  };

  // Columns of the table: title, cell, what to sort by.
  const columns = [
    { title: "Node", key: (node) => node.order },
    ...(data.reports ? [{ title: "Report", cell: (node) => bdi(node.report), key: (node) => node.report }] : []),
    { title: "Worst", cell: (node) => el("span", {}, chip(words[node.rank]), marked(node)), key: (node) => node.rank },
    ...data.moments.map(([name, title], index) => ({
      title: title.startsWith("kube") ? title : title[0].toUpperCase() + title.slice(1), cell: (node) => moment(part(node.moments, name)), key: (node) => node.ranks[index],
    })),
    ...(data.repair ? [{ title: "Repair", cell: (node) => node.result, key: (node) => node.result }] : []),
    ...(data.forecast ? [{ title: "Forecast", cell: (node) => (node.planned ? el("span", {}, chip(node.planned), marked(node.forecast)) : ""), key: (node) => rankOf(node.planned) }] : []),
    { title: "Plan", cell: (node) => node.action, key: (node) => node.action },
    { title: "Findings", key: (node) => node.severity * 1000 - node.findings.length,
      cell: (node) => (node.findings.length ? el("span", {}, chip(node.findings[0].severity), " " + node.findings.length) : "none") },
    ...(data.happenings.length ? [{ title: "Change", cell: (node) => (node.change === "unchanged" ? "" : String(node.change).replace(/_/g, " ")), key: (node) => CHANGES.indexOf(node.change) }] : []),
    { title: "Kernel", cell: (node) => bdi(node.kernel), key: (node) => node.kernel, wide: true },
    { title: "OS", cell: (node) => bdi(node.os), key: (node) => node.os, wide: true },
    { title: "kube-proxy", cell: (node) => bdi(node.kube_proxy + " " + node.mode), key: (node) => node.kube_proxy, wide: true },
  ];

  const body = byId("nodes-body");
  const status = byId("shown");
  const more = byId("more");
  const fields = { text: byId("filter-text"), moment: byId("filter-moment"), verdict: byId("filter-verdict"), plan: byId("filter-plan"), finding: byId("filter-finding") };
  // What only some reports have.
  for (const name of ["report", "change", "waived"]) { if (byId("filter-" + name)) { fields[name] = byId("filter-" + name); } }
  const extra = { kernel: null, kube_proxy: null, mode: null, happened: null };
  let shown = nodes;
  let rendered = 0;
  let sorting = { column: columns.findIndex((column) => column.title === "Worst"), down: false };

  const compare = (left, right) => (typeof left === "number" && typeof right === "number" ? left - right : collator.compare(left, right));

  const row = (node) => {
    const open = el("button", { type: "button", "aria-expanded": "false" });
    open.append(bdi(node.name || "(no name)"));
    const line = el("tr", {}, el("th", { scope: "row", class: "sticky" }, open));
    for (const column of columns.slice(1)) {
      line.append(el("td", column.wide ? { class: "wide" } : {}, column.cell(node)));
    }
    open.addEventListener("click", () => {
      const isOpen = open.getAttribute("aria-expanded") === "true";
      open.setAttribute("aria-expanded", String(!isOpen));
      if (isOpen) { line.nextSibling.remove(); } else { line.after(detail(node)); }
    });
    return line;
  };

  const table = (caption, heads, rows) => el("div", { class: "scroll", role: "group", tabindex: "0", "aria-label": caption }, el("table", {},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...rows.map((cells) => el("tr", {}, el("th", { scope: "row" }, cells[0]), ...cells.slice(1).map((cell) => el("td", {}, cell)))))));

  const momentRows = (moments) => Object.entries(moments || {}).map(([name, entry]) => [
    (data.moments.find(([key]) => key === name) || [name, name === "upgrade" ? "after the upgrade" : name])[1],
    value(entry), chip(entry.verdict), bdi(entry.writer || ""), bdi(entry.confidence || ""),
  ]);

  const todo = (entry, name) => (entry ? [entry.why || entry.what ? el("p", {}, [entry.why, entry.what].filter(Boolean).join(" ")) : null, entry.run ? run(entry.run, name) : null].filter(Boolean) : []);

  const planParts = (plan, name) => {
    const parts = [el("p", {}, el("strong", {}, String(part(plan, "action"))), ": ", bdi(part(plan, "reason") || "")), ...todo(actions.get(String(part(plan, "action"))), name)];
    for (const option of list(part(plan, "options"))) {
      parts.push(el("p", {}, "Option ", el("strong", {}, String(option.action)), option.value === null || option.value === undefined ? "" : " " + option.value, ": ", bdi(option.effect || "")));
    }
    return parts;
  };

  const repairParts = (repair) => {
    const parts = [el("p", {}, el("strong", {}, String(repair.result)), ": ", bdi(repair.reason || ""))];
    for (const [title, texts] of [["Held by", repair.hold], ["No longer sets another value", repair.neutralised]]) {
      if (list(texts).length) { parts.push(el("p", {}, title + ": ", bdi(list(texts).join("; ")))); }
    }
    if (repair.before && repair.after) {
      const side = (entry) => (part(entry, "not_read") ? bdi("not read (" + entry.not_read + ")") : moment(entry));
      parts.push(el("p", {}, "Before ", side(repair.before), ", after ", side(repair.after)));
    }
    const proof = repair.proof;
    if (proof) {
      const known = (found, text) => (found === null || found === undefined ? null : text);
      const services = proof.services || {};
      parts.push(el("p", {}, "Proof: " + [proof.restarted ? "kube-proxy was restarted" : "kube-proxy was not restarted", known(proof.seconds, "took " + proof.seconds + " s"),
        known(proof.wrong_seconds, "the value was wrong for " + proof.wrong_seconds + " s"),
        known(services.tried, "services: " + services.tried + " tried, " + services.answered_before + " answered before, " + services.answered_after + " after")].filter(Boolean).join("; ")));
    }
    if (repair.rolled_back !== null && repair.rolled_back !== undefined) { parts.push(el("p", {}, repair.rolled_back ? "The change was taken back." : "The change was not taken back.")); }
    return parts;
  };

  const detail = (node) => {
    const list_of = el("dl", {});
    const say = (title, ...parts) => { if (parts.length) { list_of.append(el("dt", {}, title), el("dd", {}, ...parts)); } };
    const cell = el("div", {});
    const heading = el("h3", {}, bdi(node.name || "(no name)"));
    cell.append(heading, el("p", {}, bdi(node.os), ", kernel ", bdi(node.kernel), ", kube-proxy ", bdi(node.kube_proxy), " (", bdi(node.form), ", mode ", bdi(node.mode), ")"));
    if (node.own !== node.name || node.report) { say("Report", bdi(node.report || "without a name"), ", where its name is ", bdi(node.own)); }
    say("Verdict", ...[chip(words[node.rank]), " " + (meaning.get(words[node.rank]) || ""), accepted(node)].filter(Boolean));
    say("Since the last report", ...node.happened.map((place) => el("p", {}, data.happenings[place][0] + ": ", bdi(data.happenings[place][1]))));
    if (node.repair) { say("Repair", ...repairParts(node.repair)); }
    say("Moments", table("The value at each moment, and who sets it", ["moment", "value", "verdict", "set by", "confidence"], momentRows(node.moments)));
    say("Evidence", table("What the kernel can do, and from what that is known", ["capability", "state", "evidence", "confidence", "source"],
      Object.entries(node.capabilities || {}).map(([name, entry]) => [name, String(part(entry, "state")), bdi(part(entry, "evidence") || ""), bdi(part(entry, "confidence") || ""), bdi(part(entry, "source") || "")])));
    say("Findings", ...(node.findings.length ? node.findings.map((finding) => el("div", {}, el("p", {}, chip(finding.severity), " ", el("strong", {}, bdi(finding.key)), ": ", bdi(finding.text), accepted(finding)), ...todo(advice.get(finding.key), node.own))) : ["none"]));
    say("Plan", ...planParts(node.plan, node.own));
    if (node.forecast) {
      say("Forecast", table("After the change that was asked about", ["moment", "value", "verdict", "set by", "confidence"], momentRows(node.forecast.moments)),
        ...list(node.forecast.transitions).map((step) => el("p", {}, bdi(step.text))), ...planParts(node.forecast.plan, node.own), ...[accepted(node.forecast)].filter(Boolean));
    }
    if (node.origin) { say("Recorded facts", bdi(node.origin)); }
    cell.append(list_of);
    return el("tr", { class: "detail" }, el("td", { colspan: String(columns.length) }, cell));
  };

  const renderMore = (count) => {
    const end = Math.min(shown.length, rendered + count);
    const fragment = document.createDocumentFragment();
    for (let index = rendered; index < end; index += 1) { fragment.append(row(shown[index])); }
    rendered = end;
    body.append(fragment);
    more.hidden = rendered >= shown.length;
    more.textContent = "Show " + number.format(Math.min(CHUNK, shown.length - rendered)) + " more of " + number.format(shown.length - rendered);
  };

  const say = () => {
    const by = extra.kernel === null && extra.kube_proxy === null ? "" : " with " + [extra.kernel === null ? null : "kernel " + extra.kernel, extra.kube_proxy === null ? null : "kube-proxy " + extra.kube_proxy].filter(Boolean).join(" and ");
    const what = extra.happened === null ? "" : ": " + data.happenings[extra.happened].join(", ");
    status.textContent = number.format(shown.length) + " of " + number.format(nodes.length) + " nodes shown" + by + what;
  };

  const draw = () => {
    body.replaceChildren();
    rendered = 0;
    renderMore(CHUNK);
    say();
  };

  const sort = () => {
    const key = columns[sorting.column].key;
    const direction = sorting.down ? -1 : 1;
    shown.sort((left, right) => direction * compare(key(left), key(right)) || left.order - right.order);
  };

  const filter = () => {
    const terms = fields.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rank = words.indexOf(fields.verdict.value);
    const at = data.moments.findIndex(([name]) => name === fields.moment.value);
    const plan = fields.plan.value;
    const finding = fields.finding.value;
    const [report, change, waived] = ["report", "change", "waived"].map((name) => (fields[name] ? fields[name].value : ""));
    shown = nodes.filter((node) => (rank < 0 || (at < 0 ? node.rank : node.ranks[at]) === rank)
      && (!plan || node.action === plan)
      && (!finding || node.findings.some((entry) => entry.key === finding))
      && (!report || node.report === report)
      && (!change || node.change === change)
      && (!waived || (waived === "finding" ? node.findings.some((entry) => has(entry, "waived")) : (node.waived !== null) === (waived === "yes")))
      && (extra.happened === null || node.happened.includes(extra.happened))
      && (extra.kernel === null || node.kernel === extra.kernel)
      && (extra.kube_proxy === null || node.kube_proxy === extra.kube_proxy)
      && (extra.mode === null || node.mode === extra.mode)
      && terms.every((term) => node.search.includes(term)));
    sort();
    draw();
  };

  const clear = () => {
    for (const field of Object.values(fields)) { field.value = ""; }
    for (const name of Object.keys(extra)) { extra[name] = null; }
  };

  const option = (select, text) => { select.append(el("option", { value: text }, text)); };
  for (const word of words) { if (nodes.some((node) => node.rank === words.indexOf(word) || node.ranks.includes(words.indexOf(word)))) { option(fields.verdict, word); } }
  for (const [name, title] of data.moments) { fields.moment.append(el("option", { value: name }, title)); }
  for (const action of [...new Set(nodes.map((node) => node.action))].sort()) { option(fields.plan, action); }
  for (const [key] of data.advice) { option(fields.finding, key); }
  if (fields.report) { for (const name of [...new Set(nodes.map((node) => node.report))].filter(Boolean).sort()) { option(fields.report, name); } }
  if (fields.change) { for (const word of CHANGES.filter((name) => nodes.some((node) => node.change === name))) { fields.change.append(el("option", { value: word }, word.replace(/_/g, " "))); } }

  const heads = columns.map((column, index) => {
    const button = el("button", { type: "button" }, column.title);
    const head = el("th", { scope: "col", class: column.wide ? "wide" : index ? null : "sticky" }, button);
    button.addEventListener("click", () => {
      sorting = { column: index, down: sorting.column === index && !sorting.down };
      mark();
      sort();
      draw();
    });
    return head;
  });
  const mark = () => heads.forEach((head, index) => {
    if (index === sorting.column) { head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending"); } else { head.removeAttribute("aria-sort"); }
  });
  byId("nodes-head").append(...heads);
  mark();

  for (const field of Object.values(fields)) { field.addEventListener("input", filter); }
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => { clear(); filter(); fields.text.focus(); });
  more.addEventListener("click", () => renderMore(CHUNK));
  // A cell of the picture, a verdict or a finding shows its nodes.
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[data-show]") : null;
    if (!button) { return; }
    const wanted = JSON.parse(button.dataset.show);
    clear();
    for (const [name, content] of Object.entries(wanted)) {
      if (has(fields, name)) { fields[name].value = content; } else if (has(extra, name)) { extra[name] = pooled(content); }
    }
    filter();
    byId("nodes").focus();
    byId("nodes").scrollIntoView();
  });
  if (typeof IntersectionObserver === "function") {
    new IntersectionObserver((entries) => { if (!more.hidden && entries.some((entry) => entry.isIntersecting)) { renderMore(CHUNK); } }).observe(more);
  }
  // Paper has no buttons: everything that the filter shows, and all parts open.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((element) => { element.open = true; });
    renderMore(shown.length);
  });
  window.addEventListener("afterprint", () => closed.forEach((element) => { element.open = false; }));

  for (const element of document.querySelectorAll("[data-script]")) { element.hidden = false; }
  filter();
  document.documentElement.dataset.ready = "true";
})();
