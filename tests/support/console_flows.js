"use strict";
// Walks through the console in frames of this page, and reports what it finds: one result a step, by its name.
(async () => {
  const report = (name, found) => fetch("/report", {
    method: "POST", body: new URLSearchParams({ name, found: JSON.stringify(found) }),
  });
  const until = async (ready, most = 60000) => {
    for (const end = Date.now() + most; Date.now() < end; await new Promise((go) => setTimeout(go, 30))) {
      const found = ready();
      if (found) return found;
    }
    return null;
  };
  const violations = [];

  async function shown(frame, go) {
    const loaded = new Promise((ready, fail) => {
      frame.addEventListener("load", ready, { once: true });
      setTimeout(() => fail(new Error("no page was loaded")), 60000);
    });
    go();
    await loaded;
    const page = frame.contentDocument;
    page.addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI + event.violatedDirective));
    await until(() => page.readyState === "complete");
    return page;
  }

  async function open(path, width = 1280) {
    const frame = document.createElement("iframe");
    frame.style.cssText = `width: ${width}px; height: 900px; border: 0`;
    const page = await shown(frame, () => { frame.src = path; document.body.append(frame); });
    return { frame, page, close: () => frame.remove() };
  }

  function overflow(frame) { // by how much the page is wider than its window
    return ["360", "1280", "2560"].map((width) => {
      frame.style.width = `${width}px`;
      const root = frame.contentDocument.documentElement;
      return root.scrollWidth - root.clientWidth;
    });
  }

  async function faults(frame) {
    const page = frame.contentDocument;
    if (!frame.contentWindow.axe) {
      await new Promise((ready) => {
        const script = page.createElement("script");
        script.src = "/axe.js";
        script.addEventListener("load", ready);
        page.head.append(script);
      });
    }
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
    const { violations: found } = await frame.contentWindow.axe.run(page, { runOnly: tags, resultTypes: ["violations"] });
    return found.map((one) => `${one.id}: ${one.nodes.slice(0, 2).map((node) => node.html.slice(0, 90)).join(" | ")}`);
  }

  function darken(page) { // as the system's preference would
    for (const sheet of page.styleSheets) {
      for (const rule of sheet.cssRules) {
        if (rule.media && rule.media.mediaText.includes("dark")) rule.media.mediaText = "all";
      }
    }
  }

  function printed(frame) { // what a printer gets: as the style sheet has it for print
    const page = frame.contentDocument;
    const rules = [...page.styleSheets].flatMap((sheet) => [...sheet.cssRules]).filter((rule) => rule.media);
    const before = rules.map((rule) => rule.media.mediaText);
    rules.forEach((rule) => { rule.media.mediaText = rule.media.mediaText === "print" ? "all" : "not all"; });
    const seen = (name) => [...page.querySelectorAll(name)].some((one) => one.getClientRects().length > 0);
    frame.style.width = "720px"; // A4
    const found = {
      forms: seen("form.line") || seen("header nav"), sides: seen("table.sides"), timeline: seen(".timeline"),
      pictures: seen(".previews img"), paper: seen(".paper"), scrolls: [...page.querySelectorAll(".paper")].some((one) => one.scrollHeight > one.clientHeight + 1),
      over: page.documentElement.scrollWidth - page.documentElement.clientWidth,
      back: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
    };
    rules.forEach((rule, n) => { rule.media.mediaText = before[n]; });
    frame.style.width = "1280px";
    return found;
  }

  const key = (page, name) => {
    const on = page.activeElement || page.body;
    on.dispatchEvent(new frames[0].KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  };

  const steps = {
    async pages() {
      const paths = document.body.dataset.pages.split(" ");
      const axe = document.body.dataset.axe === "yes";
      const found = { wide: {}, faults: {} };
      for (const [n, path] of paths.entries()) {
        const language = n % 2 ? "en" : "zh_CN";
        const { frame, page, close } = await open(path + (path.includes("?") ? "&" : "?") + "lang=" + language);
        if (axe) found.faults[path] = await faults(frame);
        if (axe && n < 3) {
          darken(page);
          found.faults[path + " dark"] = await faults(frame);
          frame.style.width = "360px";
          found.faults[path + " narrow"] = await faults(frame);
        }
        found.wide[path] = overflow(frame);
        close();
      }
      return found;
    },

    async alive() {
      const { page, close } = await open("/?lang=en");
      const why = page.querySelector("input[name=why]");
      why.value = "half a sentence";
      const same = page.querySelector("[data-live=hours]"), old = page.querySelector("[data-live=alarms]");
      await fetch("/change", { method: "POST", body: "" });
      const came = await until(() => page.body.innerText.includes("a new alarm"));
      const found = {
        came: Boolean(came), typed: page.querySelector("input[name=why]").value,
        kept: same === page.querySelector("[data-live=hours]"),
        renewed: old !== page.querySelector("[data-live=alarms]"),
      };
      await fetch("/silence", { method: "POST", body: "" });
      found.silent = Boolean(await until(() => page.getElementById("silent")));
      await fetch("/speak", { method: "POST", body: "" });
      found.speaks = Boolean(await until(() => !page.getElementById("silent")));
      close();
      return found;
    },

    async sorting() {
      const numbers = (page) => [...page.querySelectorAll(".wide tr")].slice(1).map((row) => row.cells[0].innerText.trim());
      const { frame, page, close } = await open("/queue?lang=en");
      const first = page.querySelector(".wide th button");
      first.click();
      const up = numbers(page);
      first.click();
      const down = numbers(page), address = frame.contentWindow.location.search;
      const again = await shown(frame, () => frame.contentWindow.location.reload());
      const kept = await until(() => (numbers(again).join() === down.join() ? down : null), 5000);
      const found = { up, down, address, kept, state: again.querySelector(".wide th").getAttribute("aria-sort") };
      close();
      return found;
    },

    async keys() {
      const { page, close } = await open("/queue?lang=en");
      const links = [...page.querySelectorAll("main tr a")];
      const found = [];
      for (const name of ["j", "j", "k", "/"]) {
        key(page, name);
        found.push(name === "/" ? page.activeElement.name : links.indexOf(page.activeElement));
      }
      key(page, "j"); // typed into the search: it moves nothing
      found.push(page.activeElement.name);
      close();
      return found;
    },

    async bulk() {
      const { frame, page, close } = await open("/work?what=identity&destination=cloud&lang=en");
      page.querySelector("input[data-all]").click();
      const ticked = page.querySelectorAll("input[name^=d]:checked").length;
      const form = page.querySelector("form[action='/bulk']");
      form.querySelector("select[name=what]").value = "hold";
      form.querySelector("input[name=why]").value = "asked the ward";
      const preview = await shown(frame, () => form.querySelector("p.line button, :scope > button").click());
      const asks = preview.body.innerText;
      const after = await shown(frame, () => preview.querySelector("form[action='/bulk/do'] p.line button").click());
      const found = { ticked, asks: asks.slice(0, 400), says: after.querySelector(".said").innerText };
      close();
      return found;
    },

    async doubt() {
      const { frame, page, close } = await open("/exam?id=" + document.body.dataset.exam + "&lang=zh_CN");
      const both = await shown(frame, () => page.querySelector("form[action='/patient'] button").click());
      const form = both.querySelector("form[action='/resolve']");
      const found = { differs: both.querySelectorAll(".differs").length, every: both.body.dataset.every || "" };
      if (document.body.dataset.axe === "yes") found.faults = await faults(frame);
      const picture = both.querySelector(".previews img");
      picture.scrollIntoView();
      await until(() => picture.complete);
      found.picture = picture.naturalWidth;
      found.paper = both.querySelector(".paper").innerText;
      found.print = printed(frame);
      form.querySelector("input[name=why]").value = "asked the ward";
      const after = await shown(frame, () => form.querySelector("p.line button, :scope > button").click());
      found.says = after.querySelector(".said").innerText;
      close();
      return found;
    },
  };

  const login = { who: "wang", password: document.body.dataset.password };
  await fetch("/login", { method: "POST", body: new URLSearchParams(login), redirect: "manual" });
  for (const [name, step] of Object.entries(steps)) {
    await report(name, await step().catch((error) => ({ error: String(error) })));
  }
  await report("violations", violations);
})();
