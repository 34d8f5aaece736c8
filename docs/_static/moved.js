// Links that people have kept lead to where their section or name is now.
const MOVED = {
  "recipes.html#counts-by-day": "counts-by.html",
  "recipes.html#the-last-7-days": "questions.html#last-7-days",
  "recipes.html#without-asyncio": "applications.html#without-asyncio",
  "recipes.html#in-flask": "applications.html#flask",
  "recipes.html#in-a-celery-task": "applications.html#celery",
  "recipes.html#jupyter-notebooks": "applications.html#jupyter-notebooks",
  "scale.html#celery-and-ray": "applications.html#celery",
}
const page = location.pathname.split("/").pop()
if (MOVED[page + location.hash]) location.replace(MOVED[page + location.hash])

// Names had one page, api.html#name: such a link leads to the name's page, which the list of names knows.
const moved = decodeURIComponent(location.hash.slice(1))
if (page === "api.html" && moved.startsWith("galileo_sessions.")) {
  for (let name = moved; name.includes("."); name = name.slice(0, name.lastIndexOf("."))) {
    const link = document.querySelector(`article a[href$="#${name}"]`)
    if (link) {
      location.replace(`${link.getAttribute("href").split("#")[0]}#${moved}`)
      break
    }
  }
}
