// Names had one page, api.html#name: such a link leads to the name's page, which the list of names knows.
const moved = decodeURIComponent(location.hash.slice(1))
if (location.pathname.endsWith("/api.html") && moved.startsWith("galileo_sessions.")) {
  for (let name = moved; name.includes("."); name = name.slice(0, name.lastIndexOf("."))) {
    const link = document.querySelector(`article a[href$="#${name}"]`)
    if (link) {
      location.replace(`${link.getAttribute("href").split("#")[0]}#${moved}`)
      break
    }
  }
}
