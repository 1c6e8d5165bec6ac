# SPDX-License-Identifier: MIT
"""The status page in a real Chromium, on real jobs and on made-up ones (tests/support/http_demo.c)."""
import shutil
import signal
import socket
import time
from itertools import product

import pytest
from selenium.webdriver.common.keys import Keys

from browser import (CHROMIUM, DARK, DESK, DRIVER, LIGHT, PHONE, Page, check_manners, forget_logs,
                     start_browser)
from harness import IS_SANITIZED, SLOW, TOP, spec_of, start_slow, wait_until
from test_http_server import ENDED, RUNNING, Demo
from test_watching import drop_slow

# A browser costs much, and what it tests is no C: test_http.py asks for what of the page is.
pytestmark = pytest.mark.skipif(IS_SANITIZED, reason="once is enough")

PAGE_SOURCES = TOP / "daemon" / "http" / "page"
LOOKS = list(product((DESK, PHONE), (LIGHT, DARK)))
LONGEST_NAME = "the-longest-name-that-a-job-may-have-has-64-letters-like-this-64"
ALL_BAD = {"errors": {"max_rows": 2}}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    assert CHROMIUM and DRIVER, "the packages chromium and chromium-driver are missing"
    folder = tmp_path_factory.mktemp("browser")
    driver = start_browser(folder)
    yield driver
    driver.quit()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def show(driver):
    """show(port): the page of a daemon; at the end it must have behaved. Asked for after daemons."""
    driver.get("about:blank")
    forget_logs(driver)
    pages = []

    def show_one(port):
        pages.append(Page(driver, port))
        pages[-1].look()
        return pages[-1]

    yield show_one
    driver.get("about:blank")
    check_manners(driver, pages)


@pytest.fixture
def demo(tmp_path):
    demos = []

    def start_demo(jobs, workers):
        demos.append(Demo(tmp_path, jobs, workers))
        return demos[-1]

    yield start_demo
    for demo in demos:
        demo.stop()


def row_of(job_id, part=""):
    return f"#job-rows [data-id='{job_id}'] {part}".strip()


def add_failed(daemon, name="broken"):
    """A job that fails for too many rejected rows."""
    daemon.write("bad.csv", "a,b\n1,2\nonly\n1,2,3\n4,5\n\"x\"y,6\nlast\n")
    return daemon.run(spec_of("bad.csv", "bad.out", **ALL_BAD), name)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def has_four_in_a_second(times):
    """Whether four followed one within some second: how many do in each is the machine's affair."""
    return any(later - earlier <= 1000 for earlier, later in zip(times, times[4:]))


def test_values_move_at_least_four_times_a_second(start, show):
    daemon = start_slow(start)
    page = show(daemon.port).open()
    job_id = drop_slow(daemon, workers=2)
    page.wait_text(row_of(job_id, ".pill"), "running")
    page.watch(row_of(job_id, ".time"))  # it is another one in each answer
    wait_until(lambda: has_four_in_a_second(sorted({at for at, *_ in page.seen()})), "four updates in a second")
    before = int(page.text(row_of(job_id, ".rows")).replace(",", ""))
    wait_until(lambda: int(page.text(row_of(job_id, ".rows")).replace(",", "")) > before, "more rows")
    with daemon.stopped_workers(job_id):
        assert 0 < float(page.script("return document.querySelector(arguments[0]).getAttribute('aria-valuenow')",
                                     row_of(job_id, ".bar"))) <= 100
        assert page.script("return document.querySelector('#rate-graph .line').getAttribute('d')").startswith("M")
        assert "running" in page.driver.title and int(page.text("#sum-workers").split(",")[0]) >= 1
        page.shot("running-light")
        page.look(DESK, DARK)
        page.shot("running-dark")
        # What runs stands first; when it ends the younger moves up, and keeps the focus.
        daemon.write("in.csv", "a,b\n1,2\n")
        younger = daemon.run(spec_of("in.csv", "o"), "younger")["id"]
        page.wait_text(row_of(younger, ".pill"), "completed")
        assert page.order() == [job_id, younger]
    page.script("document.querySelector(arguments[0]).focus()", row_of(younger, "a"))
    daemon.request("POST", f"/api/v1/jobs/{job_id}/cancel", unix=True)
    page.wait_text(row_of(job_id, ".pill"), "aborted")
    assert page.order() == [younger, job_id]
    assert page.focused("e.closest('tr')?.dataset.id") == younger
    assert page.text(row_of(job_id, ".rows")) == f"{daemon.job(job_id)['total_processed']:,}"


def test_a_failed_job_says_why_and_where(start, show):
    daemon = start()
    page = show(daemon.port).open()
    page.wait_text("#no-jobs", "no jobs")
    before = page.n_requests()
    wait_until(lambda: page.n_requests() >= before + 6, "the page to know what had failed before it was opened")
    job = add_failed(daemon)
    assert job["state"] == "failed"
    assert page.wait_text(row_of(job["id"], ".why"), "rejects_exceeded") == f"{job['reason']} {job['message']}"
    page.wait_text("#said", f"Job broken failed: rejects_exceeded. {job['message']}")
    page.open(f"#/jobs/{job['id']}")
    page.wait_text("#job-why", job["message"])
    rejects = daemon.errors(job["id"])["errors"]
    assert len(rejects) >= 3
    wait_until(lambda: len(page.texts("#rejects li")) == len(rejects), "the rejected rows")
    for shown, reject in zip(page.texts("#rejects li"), rejects):
        assert f"bad.csv:{reject['line']}, byte {reject['offset']}" in shown
        assert reject["code"] in shown and reject["message"] in shown
    assert page.texts("#reject-codes li") == [f"{code} {n}" for code, n in job["rejects"].items()]


def test_the_keyboard_is_enough(start, show):
    daemon = start()
    daemon.write("in.csv", "a,b\n1,2\n")
    ids = [daemon.run(spec_of("in.csv", "o"), f"job{n}")["id"] for n in range(3)]
    page = show(daemon.port).open()
    page.wait_text(row_of(ids[0]), "job0")
    focused = set()
    while page.focused("e.closest('[data-id]')?.dataset.id ?? null") is None:
        assert (where := page.focused("e.textContent")) not in focused or not where, focused
        focused.add(where)
        page.press(Keys.TAB)
    assert page.focused("e.closest('[data-id]').dataset.id") == ids[2], "the newest is first"
    assert page.focused("getComputedStyle(e).outlineStyle") != "none"
    page.press(Keys.ARROW_DOWN)
    assert page.focused("e.closest('[data-id]').dataset.id") == ids[1]
    page.press(Keys.ENTER)
    page.wait_text("#job-name", "job1")
    assert page.script("return location.hash") == f"#/jobs/{ids[1]}"
    wait_until(lambda: page.focused("e.id") == "job-name", "the focus to go into the job")
    page.press(Keys.TAB)
    assert page.focused("e.id") == "job-close"
    page.press(Keys.ESCAPE)
    wait_until(lambda: not page.is_visible("#job"), "the job to be closed")
    assert page.focused("e.closest('[data-id]')?.dataset.id") == ids[1]
    page.driver.back()
    page.wait_text("#job-name", "job1")
    page.driver.back()
    wait_until(lambda: not page.is_visible("#job"), "the job to be closed")


def check_look(page, size, scheme, name):
    """Nothing sticks out, everything can be read and has a name for those who cannot see it."""
    page.look(size, scheme)
    assert page.sticking_out() == [], name
    n_texts, contrast, where = page.contrast()
    assert n_texts > 30 and contrast >= 4.5, f"{name}: {where!r} has a contrast of {contrast:.2f}"
    assert page.nameless() == []
    page.shot(f"{name}-{scheme}-{size[0]}")


def test_each_look_is_whole_and_readable(start, show):
    daemon = start_slow(start)
    daemon.write("fine.csv", "a,b\n1,2\n")
    failed = add_failed(daemon, LONGEST_NAME)
    daemon.run(spec_of("fine.csv", "a/" * 30 + "o"), "no-folder")
    daemon.run(spec_of("fine.csv", "o"), "fine")
    job_id = drop_slow(daemon, workers=3)
    page = show(daemon.port)
    with daemon.stopped_workers(job_id) as pids:
        page.open()
        page.wait_text("#job-rows", LONGEST_NAME)
        for size, scheme in LOOKS:
            check_look(page, size, scheme, "jobs")
            assert all(page.is_visible(row_of(job_id, part)) for part in (".bar", ".pace", ".eta", ".ram", ".time"))
        for name, opened in (("failed", failed["id"]), ("job", job_id)):
            page.open(f"#/jobs/{opened}")
            wait_until(lambda: page.texts("#pipes li"), "the job")
            for size, scheme in LOOKS:
                check_look(page, size, scheme, name)
        page.look()
        shown = page.script("return [...document.querySelectorAll('#workers tr')].map((row) => row.cells[2].innerText)")
        assert sorted(shown) == sorted(map(str, pids))
        assert daemon.request("POST", f"/api/v1/jobs/{job_id}/cancel", unix=True).status in (200, 202)
    page.wait_text("#job-why", "cancelled")
    assert not page.is_visible("#job-workers")


def test_a_hidden_page_asks_nothing(start, show):
    daemon = start()
    page = show(daemon.port).open()
    with page.hidden():
        wait_until(lambda: page.script("return document.visibilityState") == "hidden", "the page to be hidden")
        before = page.n_requests()
        time.sleep(1.5)  # nothing is what is waited for
        assert page.n_requests() == before
        daemon.write("in.csv", "a,b\n1,2\n")
        job = daemon.run(spec_of("in.csv", "o"), "unseen")
    page.wait_text(row_of(job["id"]), "unseen")


def test_what_it_has_asked_before_it_was_hidden_is_asked_again(start, show):
    daemon = start()
    job = add_failed(daemon)
    page = show(daemon.port).open()
    page.script("""
        const fetched = window.fetch;
        window.fetch = (path, options) => (path.endsWith("/errors?limit=20") ? new Promise((_, reject) => {
            window.fetch = fetched;
            options.signal.addEventListener("abort", () => reject(new Error("dropped")));
            window.isAsked = true;
        }) : fetched(path, options));
        location.hash = `#/jobs/${arguments[0]}`;
    """, job["id"])
    wait_until(lambda: page.script("return window.isAsked"), "the question for the rejected rows")
    with page.hidden():
        wait_until(lambda: page.script("return document.visibilityState") == "hidden", "the page to be hidden")
    wait_until(lambda: page.texts("#rejects li"), "the rejected rows")


def test_it_tells_when_the_daemon_is_gone_and_recovers(start, show):
    daemon = start(chunk_size=24, listen=f"127.0.0.1:{free_port()}")
    daemon.write("slow.csv", SLOW[:len(SLOW) // 4])
    page = show(daemon.port).open()
    page.expected.append("net::ERR_")
    job_id = drop_slow(daemon)
    page.wait_text(row_of(job_id, ".pill"), "running")
    assert not page.is_visible("#gone")
    daemon.kill()
    page.wait_text("#gone", f"The daemon at 127.0.0.1:{daemon.settings['listen'].split(':')[1]} is gone")
    assert "The last answer came at " in page.text("#gone")
    assert page.script("return document.getElementById('gone').getAttribute('role')") == "alert"
    assert page.text(row_of(job_id, ".pill")) == "running", "what was known is still shown"
    assert float(page.script("return getComputedStyle(document.querySelector('main')).opacity")) < 1
    for size, scheme in LOOKS:
        page.look(size, scheme)
        page.shot(f"gone-{scheme}-{size[0]}")
    page.look()
    daemon.start()
    wait_until(lambda: not page.is_visible("#gone"), "the page to recover")
    page.wait_text("#said", "The daemon is back.")
    assert daemon.wait_job(job_id)["state"] == "completed"
    page.wait_text(row_of(job_id, ".pill"), "completed")


def test_a_daemon_that_stands_still_is_told_from_one_that_is_gone(start, show):
    daemon = start()
    page = show(daemon.port).open()
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        page.wait_text("#gone", "does not answer")
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    wait_until(lambda: not page.is_visible("#gone"), "the page to recover")


def test_nothing_that_was_named_means_anything(start, demo, show):
    page = show(demo(20, 5).port).open()
    page.wait_text("#job-rows", "plain")
    names = page.script("return [...document.querySelectorAll('#job-rows .name a')].map((e) => e.textContent)")
    assert names[:8] == ["plain", 'quote"quote', "back\\slash", "new\nline", "<b>html&amp;</b>", "\u00e4\u20ac",
                         "tab\tctl\x01", "{}=,"]
    assert "<max_ratio>" in page.text("#job-rows .why:not([hidden])")
    daemon = start()
    evil = "<img src=x onerror=alert(1)>\"'&amp;.csv"
    daemon.write("evil.csv", "<script>alert(1)</script>,b\n1\n2,3\n")
    job = daemon.run(spec_of(evil, "o"), "evil")
    page = show(daemon.port).open(f"#/jobs/{job['id']}")
    assert page.wait_text("#pipes", evil)
    assert evil in page.text("#job-why") or job["message"] in page.text("#job-why")
    bad = daemon.run(spec_of("evil.csv", "o"), "header")
    page.open(f"#/jobs/{bad['id']}")
    wait_until(lambda: page.texts("#rejects li"), "the rejected row")
    assert page.script("return document.querySelectorAll('#app :is(img, b, script)').length") == 0


def test_a_thousand_jobs_stay_usable(demo, show):
    page = show(demo(1000, 3).port).open()
    page.wait_text("#more-text", "100 of 1,000 jobs")
    for n in (200, 400, 800, 1000):
        page.driver.find_element("id", "more-button").click()
        wait_until(lambda: len(page.order()) == n, f"{n} jobs")
    wait_until(lambda: not page.is_visible("#more"), "no more jobs")
    assert page.order() == [f"20261122T{n:09}Z" for n in range(2000, 1000, -1)]
    middle = row_of("20261122T000001500Z")
    page.script("""
        const row = document.querySelector(arguments[0]);
        row.querySelector('a').focus();
        getSelection().selectAllChildren(row.querySelector('.time span'));
        row.scrollIntoView();
        window.before = scrollY;
    """, middle)
    page.watch("#job-rows")
    before = page.n_requests()
    wait_until(lambda: page.n_requests() >= before + 20, "updates")
    touched = {job_id for _, job_id, _ in page.seen()}
    assert touched <= {RUNNING}, touched
    assert page.focused("e.closest('tr').dataset.id") == "20261122T000001500Z"
    assert page.script("return String(getSelection()).trim()") == page.text(middle + " .time")
    assert page.script("return scrollY === window.before")


def test_jobs_are_filtered_by_state(demo, show):
    page = show(demo(20, 5).port).open()
    page.wait_text("#filters", "failed")
    page.driver.find_element("css selector", "#filters [data-state='failed']").click()
    wait_until(lambda: set(page.texts("#job-rows .pill")) == {"failed"}, "only the failed")
    assert page.script("return location.hash") == "#/?state=failed"
    page.open("#/?state=completed")
    wait_until(lambda: set(page.texts("#job-rows .pill")) == {"completed"}, "only the completed")
    page.open("#/?state=aborted")
    page.wait_text("#no-jobs", "There is no aborted job.")
    page.open("#/?state=running")
    wait_until(lambda: page.texts("#job-rows .pill") == ["running"], "only the running one")


def test_a_link_leads_to_a_job(demo, show):
    page = show(demo(20, 5).port)
    page.open(f"#/jobs/{ENDED}?state=failed")
    page.wait_text("#job-id", ENDED)
    page.open("#/jobs/20200101T000000000Z")
    page.expected.append("20200101T000000000Z - Failed to load resource: the server responded with a status of 404")
    page.wait_text("#job-why", "The daemon knows no such job")
    page.open("#/<script>")
    page.wait_text("#job-rows", "plain")


def test_without_scripts_it_leads_to_the_api(demo, show):
    page = show(demo(3, 1).port)
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.driver.get(page.base)
        links = [e.get_attribute("href") for e in page.driver.find_elements("css selector", "noscript a")]
        assert {page.base + "api/v1/jobs?pretty", page.base + "metrics"} <= set(links)
        assert not page.driver.find_element("id", "app").is_displayed()
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def run_source(driver, files, text):
    """Some of the page's own sources, then a text that returns a value."""
    driver.get("about:blank")
    sources = [(PAGE_SOURCES / name).read_text() for name in files]
    return driver.execute_script("\n".join([*sources, text]))


@pytest.mark.parametrize("call,text", [
    ("formatCount(0)", "0"), ("formatCount(999)", "999"), ("formatCount(1234567.9)", "1,234,567"),
    ("formatCount(null)", "–"), ("formatCount(-5)", "0"), ("formatCount(1e30)", "1,000,000,000,000,000,000"),
    ("formatSize(512)", "512 B"), ("formatSize(1536)", "1.5 KiB"), ("formatSize(1048524)", "1023.9 KiB"),
    ("formatSize(1048575)", "1.0 MiB"), ("formatSize(null)", "–"),
    ("formatDuration(0.85)", "850 ms"), ("formatDuration(12.39)", "12.3 s"), ("formatDuration(245)", "4m 05s"),
    ("formatDuration(7800)", "2h 10m"), ("formatDuration(273600)", "3d 04h"), ("formatDuration(59.999)", "59.9 s"),
    ("formatDuration(null)", "–"), ("formatDuration(1e300)", "–"),
    ("formatEta(86400)", "1d 00h"), ("formatEta(1e8)", "–"), ("formatEta(null)", "–"),
    ("formatRatio(0.4525)", "45.3 %"), ("formatRatio(null)", "–"), ("formatRatio(2)", "100.0 %"),
    ("formatMany(1, 'job')", "1 job"), ("formatMany(1000, 'job')", "1,000 jobs")])
def test_numbers_read_as_on_the_command_line(driver, call, text):
    assert run_source(driver, ["format.js"], f"return {call}") == text


def test_what_was_not_seen_is_shown_as_its_average(driver):
    values = run_source(driver, ["format.js", "dom.js", "graph.js"], """
        const history = new History();
        history.add(100, 1000, 1000);
        history.add(300, 1100, 1200);
        history.add(50, 6100, 11200);
        history.add(70, 6200, 3000); /* the clock was put back */
        return [[...history.values.slice(-12)].map((value) => (Number.isNaN(value) ? null : value)), history.top(60)];
    """)
    assert values == [[None, 200, *[500] * 9, 60], 500]


def run_model(driver, text):
    """The model by itself: told is what would be said, job(state, ended) makes one."""
    return run_source(driver, ["format.js", "dom.js", "graph.js", "model.js"], """
        const view = {id: null, state: null};
        const told = [];
        function say(sentence) {
            told.push(sentence);
        }
        function job(state, ended = null, id = "1") {
            return {id, name: `n${id}`, state, reason: "why", message: "So.", total_processed: 5, items_per_second: 1,
                finished_at_seconds: ended};
        }
    """ + text)


def test_an_answer_that_was_overtaken_is_not_listened_to(driver):
    assert run_model(driver, """
        learn(job("running"), 10);
        learn(job("completed", 100), 20);
        learn(job("running"), 15);
        return model.jobs.get("1").state;
    """) == "completed"


def test_each_failure_is_told_once_and_none_from_before(driver):
    assert run_model(driver, """
        takeFailures({jobs: [job("failed", 50, "3"), job("failed", 40, "2")]});
        takeFailures({jobs: [job("failed", 50, "3"), job("failed", 30, "0")]});
        learn(job("running"), 10);
        learn(job("failed", 60), 20);
        takeFailures({jobs: [job("failed", 60), job("failed", 50, "3")]});
        return told;
    """) == ["Job n1 failed: why. So."]
