"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  const theme = document.querySelector("button.theme");
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const tellTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    tellTheme();
  });
  systemDark.addEventListener("change", tellTheme);
  tellTheme();

  const links = new Map();
  for (const link of document.querySelectorAll(".contents a")) links.set(link.hash, link);
  const current = () => {
    let found = null;
    for (const section of document.querySelectorAll("main > section[id]")) {
      if (section.getBoundingClientRect().top < innerHeight * 0.35) found = section;
    }
    for (const link of links.values()) link.removeAttribute("aria-current");
    if (found) links.get(new URL("#" + found.id, location.href).hash)?.setAttribute("aria-current", "true");
  };
  if (links.size) {
    let waiting = false;
    const soon = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; current(); });
    };
    addEventListener("scroll", soon, { passive: true });
    current();
  }

  for (const table of document.querySelectorAll("table")) {
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, index) => {
      header.querySelector("button").addEventListener("click", () => {
        const descending = header.getAttribute("aria-sort") === "ascending";
        for (const other of headers) other.setAttribute("aria-sort", "none");
        header.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sortRows(table.tBodies[0], index, descending ? -1 : 1);
      });
    });
  }

  function sortRows(body, index, direction) {
    const rows = [...body.rows];
    rows.sort((a, b) => {
      const left = a.cells[index].dataset, right = b.cells[index].dataset;
      const absent = ("missing" in left) - ("missing" in right);
      if (absent || "missing" in left) return absent;
      if ("number" in left && "number" in right) return direction * (exact(left) - exact(right));
      const texts = [a.cells[index].textContent.trim(), b.cells[index].textContent.trim()];
      return direction * texts[0].localeCompare(texts[1], undefined, { numeric: true });
    });
    body.append(...rows);
  }

  function exact(data) {
    return { inf: Infinity, "-inf": -Infinity }[data.number] ?? Number(data.number);
  }

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const table = button.closest(".table").querySelector("table");
      const done = await copy([...table.rows].map((row) => [...row.cells].map(plain).join("\t")).join("\n") + "\n");
      button.textContent = done ? "Copied" : "Not copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  function plain(cell) {
    if ("number" in cell.dataset) return cell.dataset.number;
    if ("missing" in cell.dataset) return "";
    const content = cell.textContent.replace(/\s+/g, " ").trim();
    return /^[=+@-]/.test(content) ? "'" + content : content; // a spreadsheet would run it as a formula
  }

  async function copy(content) {
    try {
      await navigator.clipboard.writeText(content);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = content;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  for (const plot of document.querySelectorAll(".plot")) {
    const data = JSON.parse(plot.dataset.plot);
    const svg = plot.querySelector("svg");
    const cursor = svg.appendChild(shape("g", { class: "cursor" }));
    const view = data.kind === "figure" ? figureView(data, cursor) : heatMapView(data, cursor);
    const box = plot.querySelector(".readout");
    let place = null;

    const show = (next) => {
      if (!next) return;
      place = next;
      cursor.replaceChildren();
      const { x, y, lines } = view.show(place);
      box.replaceChildren(...lines);
      box.hidden = false;
      if (plot.clientWidth < 2 * box.offsetWidth + 32) { // no room on either side of the cursor
        box.style.left = "0px";
        box.style.top = plot.clientHeight + 4 + "px";
        return;
      }
      const scale = svg.clientWidth / svg.viewBox.baseVal.width;
      const beside = x * scale + 14;
      const fits = beside + box.offsetWidth <= plot.clientWidth;
      box.style.left = Math.max(0, fits ? beside : x * scale - box.offsetWidth - 14) + "px";
      box.style.top = Math.max(0, y * scale) + "px";
    };
    const hide = () => {
      place = null;
      box.hidden = true;
      cursor.replaceChildren();
    };
    const point = (event) => {
      const frame = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / frame.width;
      show(view.nearest((event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale));
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
    plot.addEventListener("blur", hide);
    plot.addEventListener("focus", () => { if (plot.matches(":focus-visible")) show(view.move(null, 0, 0)); });
    plot.addEventListener("keydown", (event) => {
      const steps = {
        ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
        Home: [-Infinity, 0], End: [Infinity, 0],
      }[event.key];
      if (event.key === "Escape") hide();
      if (!steps || (steps[1] && data.kind === "figure") || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      show(view.move(place, ...steps));
    });
  }

  function figureView(data, cursor) {
    const { columns, top, bottom } = data;
    return {
      nearest: (x) => columns.length && {
        column: columns.reduce((best, one, i) => (Math.abs(one.at - x) < Math.abs(columns[best].at - x) ? i : best), 0),
      },
      move: (place, step) => columns.length && {
        column: place ? between(place.column + step, columns.length) : step < 0 ? columns.length - 1 : 0,
      },
      show: ({ column }) => {
        const { at, label, rows } = columns[column];
        cursor.append(shape("line", { x1: at, x2: at, y1: top, y2: bottom }));
        const lines = [line("head", data.x, label)];
        for (const [name, role, places, text] of rows) {
          for (const y of places) cursor.append(shape("circle", { class: role, cx: at, cy: y, r: 5 }));
          lines.push(line(role, name, text));
        }
        return { x: at, y: top, lines };
      },
    };
  }

  function heatMapView(data, cursor) {
    const { left, top, width, height, columns, rows, values } = data;
    const at = (column, row) => ({ column: between(column, columns.length), row: between(row, rows.length) });
    return {
      nearest: (x, y) => at(Math.floor((x - left) / width), Math.floor((y - top) / height)),
      move: (place, across, down) => (place ? at(place.column + across, place.row + down) : at(0, 0)),
      show: ({ column, row }) => {
        const x = left + column * width, y = top + row * height;
        for (const role of ["halo", "frame"]) cursor.append(shape("rect", { class: role, x, y, width, height }));
        const lines = [line("head", data.x, columns[column]), line("head", data.y, rows[row])];
        lines.push(line("value", "", values[row][column]));
        return { x: x + width, y: y + height, lines };
      },
    };
  }

  function between(index, length) {
    return Math.max(0, Math.min(length - 1, index));
  }

  function shape(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function line(role, name, text) {
    const made = document.createElement("span");
    made.className = "line " + role;
    const [first, second] = [document.createElement("span"), document.createElement("b")];
    first.textContent = name + " ";
    second.textContent = text + " ";
    made.append(first, second);
    return made;
  }
})();
