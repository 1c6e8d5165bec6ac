# SPDX-License-Identifier: MIT
"""A real Chromium without a window, on the status page, and what tests ask of it.

It has a profile of its own and is kept from asking for anything by itself, so whatever request its
log shows, the page has made.
"""
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains

from harness import wait_until

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
SWITCHES = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-default-apps", "--no-proxy-server", "--metrics-recording-only",
    "--disable-features=MediaRouter,OptimizationHints,Translate", "--window-size=1440,900",
    "--force-device-scale-factor=1", "--hide-scrollbars"]
DARK, LIGHT = "dark", "light"
PHONE, DESK = (360, 740), (1440, 900)

# Mutations of an element's text or tree, each with the time of the update that brought it.
WATCH = """
    window.seen = [];
    window.watcher?.disconnect();
    window.watcher = new MutationObserver((records) => {
        const now = performance.now();
        for (const record of records) {
            const element = record.target.nodeType === Node.TEXT_NODE ? record.target.parentElement : record.target;
            window.seen.push([now, element?.closest('[data-id]')?.dataset.id ?? null, record.type]);
        }
    });
    window.watcher.observe(document.querySelector(arguments[0]), {characterData: true, childList: true, subtree: true});
"""

# The least contrast of visible text, by WCAG's formula, and the text that has it.
CONTRAST = """
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const colour = (css) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = css;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
    const ground = (element) => {
        if (element === null) return [255, 255, 255, 1];
        const own = colour(getComputedStyle(element).backgroundColor);
        return own[3] === 1 ? own : over(own, ground(element.parentElement));
    };
    const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
        const x = c[i] / 255;
        return sum + weight * (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    }, 0);
    const walker = document.createTreeWalker(document.getElementById('app'), NodeFilter.SHOW_TEXT);
    let worst = [99, ''];
    let n = 0;
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (walker.currentNode.data.trim() === '' || !element.checkVisibility({visibilityProperty: true})) continue;
        const below = ground(element);
        const [a, b] = [light(over(colour(getComputedStyle(element).color), below)), light(below)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        n++;
        if (ratio < worst[0]) worst = [ratio, walker.currentNode.data];
    }
    return [n, ...worst];
"""


def start_browser(folder):
    options = Options()
    options.binary_location = CHROMIUM
    for switch in [*SWITCHES, f"--user-data-dir={folder}/profile"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    return webdriver.Chrome(service=Service(DRIVER, env=environment, log_path=f"{folder}/driver.log"), options=options)


class Page:
    """The status page of one port. expected: what the browser may say of requests that failed."""

    def __init__(self, driver, port):
        self.driver = driver
        self.base = f"http://127.0.0.1:{port}/"
        self.expected = []

    def open(self, address="#/"):
        self.driver.get("about:blank")
        self.driver.get(self.base + address)
        self.script("performance.setResourceTimingBufferSize(1000000)")
        wait_until(lambda: self.text("#ready"), "the page to show the daemon's state")
        return self

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def text(self, selector):
        """What is seen of the first such element; "" if there is none."""
        return self.script("return document.querySelector(arguments[0])?.innerText.trim() ?? ''", selector)

    def texts(self, selector):
        return self.script("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText.trim())", selector)

    def wait_text(self, selector, part):
        return wait_until(lambda: part in self.text(selector) and self.text(selector),
                          f"{part!r} in {selector}: {self.text(selector)!r}")

    def order(self):
        """The IDs of the jobs, from the top."""
        return self.script("return [...document.querySelectorAll('#job-rows > tr')].map((row) => row.dataset.id)")

    def is_visible(self, selector):
        return self.script("return document.querySelector(arguments[0])?.checkVisibility() ?? false", selector)

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self, expression):
        """An expression over the focused element e."""
        return self.script(f"const e = document.activeElement; return {expression}")

    def watch(self, selector):
        self.script(WATCH, selector)

    def seen(self):
        """(ms of the update, job ID or None, kind) of each mutation since watch()."""
        return self.script("return window.seen")

    def n_requests(self):
        return self.script("return performance.getEntriesByType('resource').length")

    def look(self, size=DESK, scheme=LIGHT):
        """Another size of the screen, another colour scheme."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    @contextmanager
    def hidden(self):
        """The page is behind another tab."""
        page = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        cover = self.driver.current_window_handle
        self.driver.switch_to.window(page)
        self.driver.execute_cdp_cmd("Target.activateTarget", {"targetId": cover})
        try:
            yield
        finally:
            self.driver.switch_to.window(cover)
            self.driver.close()
            self.driver.switch_to.window(page)
            self.driver.execute_cdp_cmd("Target.activateTarget", {"targetId": page})

    def sticking_out(self):
        """The texts that reach beyond the screen's right edge, clipped or not; a name may, with its ellipsis."""
        return self.script("""
            const edge = Math.min(innerWidth, document.documentElement.clientWidth) + 1;
            const seen = [...document.querySelectorAll('#app *')].filter((e) => e.checkVisibility()
                && !e.closest('.unseen, svg, .name a') && e.getBoundingClientRect().right > edge);
            return seen.map((e) => e.innerText).concat(document.scrollingElement.scrollWidth > edge ? ['all'] : []);
        """)

    def contrast(self):
        """(texts looked at, least contrast, the text that has it)"""
        return tuple(self.script(CONTRAST))

    def nameless(self):
        """The roles of what one can use or read off but that has no accessible name."""
        tree = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        wanted = {"link", "button", "progressbar", "table", "heading", "image", "img", "navigation", "complementary"}
        return [node["role"]["value"] for node in tree if not node["ignored"]
                and node.get("role", {}).get("value") in wanted and not node.get("name", {}).get("value")]

    def shot(self, name):
        """A picture for people, where they have asked for some."""
        if os.environ.get("ZP_SCREENSHOTS"):
            folder = Path(os.environ["ZP_SCREENSHOTS"])
            folder.mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(folder / f"{name}.png"))


def forget_logs(driver):
    for name in ("browser", "performance"):
        driver.get_log(name)


def check_manners(driver, pages):
    """Since forget_logs(): no word on the console, no request to anybody but the pages' daemons."""
    expected = [text for page in pages for text in page.expected]
    said = [entry for entry in driver.get_log("browser") if entry["level"] not in ("DEBUG", "INFO")
            and not any(text in entry["message"] for text in expected)]
    assert not said, said
    asked = [message["params"]["request"]["url"] for entry in driver.get_log("performance")
             if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"]
    assert asked, "the log of requests is empty"
    ours = (*[page.base for page in pages], "data:image/svg+xml,", "about:blank")
    assert all(url.startswith(ours) for url in asked), [url for url in asked if not url.startswith(ours)]
