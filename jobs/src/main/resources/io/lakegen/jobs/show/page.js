"use strict";
for (const filter of document.querySelectorAll("input[data-for]")) {
  const items = [...document.getElementById(filter.dataset.for).children];
  const texts = items.map((item) => item.textContent.toLowerCase());
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    items.forEach((item, i) => { item.hidden = !texts[i].includes(wanted); });
  });
}

const data = document.getElementById("neighbourhood");
if (data) {
  const { texts, near } = JSON.parse(data.textContent);
  const map = document.getElementById("points");
  const circles = [...map.querySelectorAll("circle")];
  const about = document.getElementById("near");
  const item = (list, lead, text) => {
    const line = document.createElement("li");
    if (lead) {
      line.appendChild(document.createElement("b")).textContent = lead;
    }
    line.append(text);
    list.append(line);
  };
  const choose = (index) => {
    circles.forEach((circle) => circle.classList.remove("chosen", "near"));
    circles[index].classList.add("chosen");
    about.querySelector("p").textContent = texts[index];
    const list = about.querySelector("ol");
    list.replaceChildren();
    for (const [other, cosine] of near[index]) {
      circles[other].classList.add("near");
      item(list, cosine.toFixed(3), texts[other]);
    }
  };
  map.addEventListener("click", (event) => {
    const index = circles.indexOf(event.target);
    if (index >= 0) {
      choose(index);
    }
  });
  choose(Math.floor(circles.length / 2));
}
