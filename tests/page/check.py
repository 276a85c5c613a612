"""Checks the status page in a browser: loading, layout, keyboard, accessible names, contrast. Needs Debian's `chromium`.

    python3 tests/page/check.py target/release/ucdn-watch [FOLDER]    # screenshots go into FOLDER
"""

import pathlib
import sys
import time

from browser import Browser
from scene import HOSTILE_ID, HOSTILE_URL, broken_scene, eventually

SIZES = {"narrow": 400, "wide": 1400}
SCHEMES = ["light", "dark"]

# The minimum of WCAG 2.1 AA for text of any size.
LEAST_CONTRAST = 4.5

OVERFLOWING = """[...document.querySelectorAll('body *')].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1) && !one.closest('svg, .skip');
}).map(one => one.tagName + '.' + one.className + ': ' + one.textContent.slice(0, 40))"""

# Compares each text's colour with the blended background. Texts in SVG have their colour as `fill`.
LOW_CONTRAST = """(() => {
  const parse = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const over = (top, below) => ({ r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a),
    b: top.b * top.a + below.b * (1 - top.a), a: 1 });
  const behind = one => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      layers.push(colour);
      if (colour.a === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map(it => it / 255).map(it => it <= 0.03928 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const found = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !one.getClientRects().length || one.closest('noscript, title, desc')) continue;
    const style = getComputedStyle(one);
    const back = behind(one.closest('svg')?.parentElement ?? one);
    const front = over(parse(one.closest('svg') ? style.fill : style.color), back);
    const [high, low] = [luminance(front), luminance(back)].sort((a, b) => b - a);
    seen += 1;
    if ((high + 0.05) / (low + 0.05) < LEAST) found.push(walker.currentNode.data.trim().slice(0, 40) + ' ' + ((high + 0.05) / (low + 0.05)).toFixed(2));
  }
  return seen > 5 ? found : ['only ' + seen + ' texts were looked at'];
})()""".replace("LEAST", str(LEAST_CONTRAST))


def equal(found, expected, what):
    assert found == expected, f"{what}: {found!r}, not {expected!r}"


def paths(tab):
    """One page of each kind."""
    task = tab.run("document.querySelector('[data-part=attention] ul.tasks a').getAttribute('href')")
    hostile = tab.run(f"[...document.querySelectorAll('ul.tasks > li')].find(one => one.textContent.includes({HOSTILE_ID!r})).querySelector('a').getAttribute('href')")
    return ["", "tasks?status=failure", task, hostile, "tasks?status=failed+by+a+slip&limit=0", "task?target=shop&id=nothing"]


def every_page_fits_and_is_readable(browser, scene, folder):
    for size, width in SIZES.items():
        for scheme in SCHEMES:
            tab = browser.tab(width=width, scheme=scheme)
            tab.open(scene.url)
            all_paths = paths(tab)
            pictured = {all_paths[0]: "page", all_paths[2]: "task"}
            for path in all_paths:
                tab.open(scene.url + path)
                tab.run("document.querySelectorAll('details').forEach(one => one.open = true)")
                where = f"{path} at {width}, {scheme}"
                equal(tab.run("document.documentElement.scrollWidth"), width, f"{where}: width")
                equal(tab.run(OVERFLOWING), [], f"{where}: beyond the edge")
                equal(tab.run(LOW_CONTRAST), [], f"{where}: contrast")
                equal(tab.run("document.documentElement.innerHTML.includes('secret-token')"), False, f"{where}: a secret")
                tab.run("document.querySelectorAll('details').forEach((one, at) => one.open = at === 0)")
                if folder and path in pictured:
                    tab.picture(folder / f"{pictured[path]}-{size}-{scheme}.png", height=1400)
            # Error pages have an error's status on purpose.
            complaints = [one for one in tab.complaints() if "status of 40" not in str(one)]
            equal(complaints, [], f"complaints at {width}, {scheme}")
            elsewhere = [url for url in tab.requested() if not url.startswith(scene.url)]
            equal(elsewhere, [], "loaded from elsewhere")
            tab.close()


def no_text_of_the_api_is_executed(browser, scene):
    tab = browser.tab()
    tab.open(scene.url)
    assert "owned" not in tab.run("document.title"), "a script of the API's ran"
    texts = tab.run("[...document.querySelectorAll('.url')].map(one => one.textContent)")
    assert HOSTILE_URL in texts, "the URL is not shown as it is"
    assert any("\\u{202e}gpj.exe\\u{2066}\\u{0}\\r\\nforged" in text for text in texts), "what hides is not shown"
    equal(tab.run("document.querySelectorAll('main script, main img').length"), 0, "elements made of texts")
    # The policy also stops scripts that are written into the page.
    tab.run("""(() => { const one = document.createElement('script'); one.textContent = "document.title = 'owned'";
        document.body.append(one); document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="document.title=`owned`">'); })()""")
    assert tab.run("document.title") != "owned", "the policy lets scripts in the page run"
    assert any("SecurityPolicy" in str(one) for one in tab.complaints()), "the browser says nothing of the policy"
    tab.close()


def assistive_technology_finds_names_and_landmarks(browser, scene):
    tab = browser.tab()
    tab.open(scene.url)
    for landmark in ("header", "main", "footer", "nav[aria-label]"):
        assert tab.run(f"document.querySelectorAll({landmark!r}).length") >= 1, landmark
    levels = tab.run("[...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))")
    equal(levels.count(1), 1, "h1")
    assert levels[0] == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:])), levels
    for query, what in [
        ("table:not(:has(caption))", "tables without a caption"),
        ("th:not([scope])", "headers of nothing"),
        ("svg[role=img]:not(:has(title)), svg[role=img]:not(:has(desc))", "pictures without words"),
        ("svg:not([role=img]):not([aria-hidden])", "pictures without a role"),
        ("[role=progressbar]:not([aria-label][aria-valuenow][aria-valuetext])", "bars without words"),
        ("a:not([href])", "links to nowhere"),
    ]:
        equal(tab.run(f"document.querySelectorAll({query!r}).length"), 0, what)
    equal(tab.run("""(() => { const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
        const named = [...document.querySelectorAll('[aria-labelledby]')].flatMap(one => one.getAttribute('aria-labelledby').split(' '));
        return [ids.length - new Set(ids).size, named.filter(one => !ids.includes(one)).length]; })()"""), [0, 0], "ids")
    names = [
        (node["role"]["value"], node["name"]["value"]) for node in tab.call("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"] and "name" in node
    ]
    equal([role for role, name in names if role in ("link", "button", "progressbar", "image", "textbox", "combobox", "table") and not name], [], "unnamed")
    equal([name for role, name in names if role == "progressbar"][:1], ["Progress"], "bars")
    tab.close()


def the_keyboard_reaches_everything(browser, scene):
    tab = browser.tab()
    tab.open(scene.url)
    tab.press("Tab", 9)
    equal(tab.run("document.activeElement.className"), "skip", "the first stop")
    assert tab.run("document.activeElement.getBoundingClientRect().left >= 0"), "the skip link is not to be seen"
    tab.press("Enter", 13)
    equal(tab.run("document.activeElement.id || location.hash"), "main", "where it skips to")
    stops = []
    for _ in range(40):
        tab.press("Tab", 9)
        stops.append(tab.run("document.activeElement.tagName"))
        ring = tab.run("getComputedStyle(document.activeElement).outlineStyle")
        assert stops[-1] == "BODY" or ring != "none", f"no ring around {stops[-1]}"
        if stops[-1] == "SUMMARY":
            break
    equal(stops[-1], "SUMMARY", "stops of the Tab key")
    tab.call("Input.dispatchKeyEvent", type="keyDown", key=" ", code="Space", windowsVirtualKeyCode=32, text=" ")
    tab.call("Input.dispatchKeyEvent", type="keyUp", key=" ", code="Space", windowsVirtualKeyCode=32)
    assert tab.run("document.activeElement.parentElement.open"), "a task does not open"
    tab.close()


def the_page_refreshes_in_place(browser, scene):
    tab = browser.tab()
    tab.open(scene.url)
    tab.run("document.querySelector('ul.tasks details').open = true; document.querySelector('ul.tasks summary').focus(); window.mark = 1")
    scene.control("tasks", [dict(id="brand-new", urls=["https://cdn.example.com/new"], script="wait")])
    eventually("the new task on the page", lambda: tab.run("document.body.textContent.includes('brand-new')"))
    equal(tab.run("window.mark"), 1, "the page was not loaded anew")
    assert tab.run("document.querySelector('ul.tasks details').open"), "what was open was closed"
    equal(tab.run("document.activeElement.tagName"), "SUMMARY", "the focus")
    tab.run("document.getElementById('pause').click()")
    equal(tab.run("document.getElementById('pause').getAttribute('aria-pressed')"), "true", "the pause")
    equal(tab.complaints(), [], "complaints")
    tab.close()


def the_page_works_without_scripts(browser, scene):
    with_scripts, without = browser.tab(), browser.tab(scripts=False)
    for tab in (with_scripts, without):
        tab.open(scene.url + "?refresh=off")
    equal(with_scripts.run("document.scripts.length"), 0, "scripts of a page that is to stay")
    without.open(scene.url)
    count = "document.querySelectorAll('ul.tasks > li').length"
    assert without.run(count) == with_scripts.run(count) > 8
    equal(without.run("getComputedStyle(document.getElementById('pause')).display"), "none", "a button that does nothing")
    equal(without.run("document.querySelector('meta[http-equiv=refresh]').content"), "60", "the reload")
    for tab in (with_scripts, without):
        tab.close()


def main(program, folder=None):
    folder = folder and pathlib.Path(folder)
    browser = Browser()
    try:
        with broken_scene(program) as scene:
            for check in (every_page_fits_and_is_readable, no_text_of_the_api_is_executed, assistive_technology_finds_names_and_landmarks,
                          the_keyboard_reaches_everything, the_page_refreshes_in_place, the_page_works_without_scripts):
                begun = time.monotonic()
                check(browser, scene, folder) if check is every_page_fits_and_is_readable else check(browser, scene)
                print(f"{check.__name__.replace('_', ' ')}: {time.monotonic() - begun:.1f} s", flush=True)
    finally:
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
