"""A headless Chromium, driven through its DevTools protocol over a pipe. Needs only the standard library."""

import base64
import json
import os
import shutil
import subprocess
import tempfile

PATIENCE_SECONDS = 120


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp()
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        program = shutil.which("chromium")
        assert program, "Debian's `chromium` is needed"
        # Root can't have the sandbox; what is looked at is ours alone.
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                 "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync",
                 "--force-color-profile=srgb", "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "about:blank"]

        def place():
            # Chromium reads from 3 and writes to 4.
            reading, writing = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self.child = subprocess.Popen([program, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=place)
        os.close(theirs_in)
        os.close(theirs_out)
        self.writer, self.reader = os.fdopen(ours_out, "wb", 0), os.fdopen(ours_in, "rb", 0)
        self.unread, self.number, self.events = b"", 0, []

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self.writer.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def receive(self):
        """The next message. An event is also kept."""
        while b"\0" not in self.unread:
            more = os.read(self.reader.fileno(), 1 << 20)
            assert more, "the browser has ended"
            self.unread += more
        message, self.unread = self.unread.split(b"\0", 1)
        message = json.loads(message)
        if "method" in message:
            self.events.append(message)
        return message

    def tab(self, **settings):
        return Tab(self, **settings)

    def close(self):
        self.child.kill()
        self.child.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


class Tab:
    def __init__(self, browser, width=1400, height=900, scheme="light", scripts=True):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def open(self, url):
        begun = len(self.browser.events)
        self.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired", begun)

    def wait_for(self, method, begun=0):
        is_it = lambda one: one["method"] == method and one.get("sessionId") == self.session
        while not any(is_it(one) for one in self.browser.events[begun:]):
            self.browser.receive()

    def run(self, expression):
        """Evaluates JavaScript, also if the page allows no scripts."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, (expression, result["exceptionDetails"])
        return result["result"].get("value")

    def press(self, key, code=0):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def complaints(self):
        """Everything that the browser reports: errors, policy violations, failed loads, requests to other hosts."""
        found = []
        for one in self.browser.events:
            if one.get("sessionId") != self.session:
                continue
            method, said = one["method"], one["params"]
            if method in ("Runtime.exceptionThrown", "Page.javascriptDialogOpening"):
                found.append((method, said))
            # A page that is left while its script asks for a newer one leaves that request behind.
            if method == "Network.loadingFailed" and not said.get("canceled"):
                found.append((method, said))
            if method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
                found.append((method, said["entry"]["text"]))
            if method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
                found.append((method, said))
            if method == "Audits.issueAdded":
                found.append((method, said["issue"]["code"], said["issue"]["details"]))
        return found

    def requested(self):
        sent = (one for one in self.browser.events if one.get("sessionId") == self.session)
        return [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"]

    def picture(self, path, height=None):
        """A screenshot of the whole page, or of its upper part."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height or 20000), "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
