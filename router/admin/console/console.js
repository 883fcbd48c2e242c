"use strict";
// Keeps a page alive: refreshed in place, sorted by its columns, walked by keys. Every page works without it.
(() => {
  const seconds = Number(document.body.dataset.every || 0);
  const live = () => [...document.querySelectorAll("[data-live]")];
  const known = new Map(live().map((part) => [part.dataset.live, part.outerHTML])); // as the node sent them
  let tag = "", answered = new Date(), failures = 0;

  // -- sorting: ?sort=TABLE.COLUMN.up, in the address

  const tables = () => [...document.querySelectorAll(".wide table")];
  const text = (row, column) => (row.cells[column] ? row.cells[column].innerText.trim() : "");

  function sorted(table, column, down) {
    const [head, ...rows] = [...table.rows];
    const way = down ? -1 : 1;
    rows.sort((a, b) => way * text(a, column).localeCompare(text(b, column), undefined, { numeric: true }));
    head.parentNode.append(...rows);
    [...head.cells].forEach((cell, n) => {
      if (n === column) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  }

  function chosen() {
    const [table, column, way] = (new URLSearchParams(location.search).get("sort") || "").split(".");
    return { table: Number(table), column: Number(column), down: way === "down", any: way !== undefined };
  }

  function choose(table, column) {
    const now = chosen();
    const down = now.any && now.table === table && now.column === column && !now.down;
    const address = new URL(location.href);
    address.searchParams.set("sort", [table, column, down ? "down" : "up"].join("."));
    history.replaceState(null, "", address);
    sorted(tables()[table], column, down);
  }

  function sortable() {
    tables().forEach((table, n) => {
      const wide = table.parentNode; // one that is wider than its window is scrolled by keys, too
      if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
      if (table.rows.length < 3) return;
      [...table.rows[0].cells].forEach((cell, column) => {
        if (cell.tagName !== "TH" || cell.querySelector("button, input") || !cell.innerText.trim()) return;
        const button = document.createElement("button");
        button.type = "button";
        button.append(...cell.childNodes);
        button.addEventListener("click", () => choose(n, column));
        cell.append(button);
      });
    });
    const now = chosen();
    if (now.any && tables()[now.table]) sorted(tables()[now.table], now.column, now.down);
  }

  // -- refreshing: only the parts that changed, and nothing that a person is typing in

  function isBusy(part) {
    const typed = "input:not([type=checkbox]):not([type=radio]):not([type=hidden])";
    if ([...part.querySelectorAll(typed)].some((one) => one.value !== one.defaultValue)) return true;
    return part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  }

  function renew(part, fresh) {
    const open = [...part.querySelectorAll("details")].map((one) => one.open);
    const ticked = [...part.querySelectorAll("input:checked")].map((one) => one.value);
    const link = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceWith(fresh);
    fresh.querySelectorAll("details").forEach((one, n) => { one.open = open[n] || false; });
    fresh.querySelectorAll("input[type=checkbox], input[type=radio]").forEach((one) => {
      one.checked = ticked.includes(one.value);
    });
    if (link !== null) [...fresh.querySelectorAll("a")].find((one) => one.getAttribute("href") === link)?.focus();
  }

  function take(page) {
    const parts = new Map([...page.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));
    let changed = false;
    for (const part of live()) {
      const key = part.dataset.live, fresh = parts.get(key);
      if (!fresh || fresh.outerHTML === known.get(key) || isBusy(part)) continue;
      known.set(key, fresh.outerHTML);
      renew(part, document.importNode(fresh, true));
      changed = true;
    }
    if (changed) sortable();
  }

  function silent(is) {
    let note = document.getElementById("silent");
    if (is && !note) {
      note = document.createElement("p");
      note.id = "silent";
      note.className = "said";
      note.setAttribute("role", "alert");
      note.textContent = document.body.dataset.silent + " " + answered.toLocaleTimeString();
      document.getElementById("main").prepend(note);
    }
    if (!is && note) note.remove();
  }

  async function look() {
    if (document.hidden) return;
    try {
      const headers = { "X-Live": "1", ...(tag ? { "If-None-Match": tag } : {}) };
      const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "manual" });
      if (answer.type === "opaqueredirect") return location.reload(); // the session is over
      if (answer.status === 200) {
        take(new DOMParser().parseFromString(await answer.text(), "text/html"));
        tag = answer.headers.get("ETag") || "";
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      failures = 0;
      answered = new Date();
    } catch {
      failures += 1;
    }
    silent(failures > 1);
  }

  // -- keys: / searches, j and k go down and up the rows, Enter follows the link that has the focus

  function step(by) {
    const links = [...document.querySelectorAll("main tr")].map((row) => row.querySelector("a")).filter(Boolean);
    if (!links.length) return;
    const row = document.activeElement.closest("tr");
    const now = links.findIndex((link) => row && row.contains(link));
    const next = links[Math.min(Math.max(now + by, 0), links.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, textarea")) return;
    const search = document.querySelector("input[data-search]");
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "/" && search) search.focus();
    else if (event.key === "/") location.assign("/queue");
    else return;
    event.preventDefault();
  });

  document.addEventListener("change", (event) => {
    if (!event.target.matches("input[data-all]")) return;
    const boxes = event.target.closest("form").querySelectorAll("input[type=checkbox]");
    boxes.forEach((box) => { box.checked = event.target.checked; });
  });

  // -- pictures: one that the node was too busy for is asked for again

  document.addEventListener("error", ({ target }) => {
    const tries = Number(target.dataset?.tries || 0) + 1;
    if (target.tagName !== "IMG" || tries > 5) return;
    target.dataset.tries = tries;
    setTimeout(() => { target.src = target.src; }, 1000 * tries);
  }, true);

  sortable();
  if (seconds && live().length) setInterval(look, seconds * 1000);
})();
