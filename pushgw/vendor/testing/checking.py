"""Checks of what a credential says of itself, and of the harmless push that tries it."""

from __future__ import annotations

from pushgw.vendor.checks import Finding, Recognized, Summary
from pushgw.vendor.push import FollowUp
from pushgw.vendor.testing.authorizing import check_hidden, secrets_of
from pushgw.vendor.testing.promise import NotConformant, promise
from pushgw.vendor.testing.samples import UNREADABLE
from pushgw.vendor.testing.subject import Subject


def check_credential_words(subject: Subject) -> None:
    """Summary and findings hold no secret; a good credential has no error; any file at all is recognised, refused or unknown."""
    credential, secrets = subject.fresh_account().credential, secrets_of(subject)
    summary = credential.summary()
    promise(isinstance(summary, Summary), f"summary gives {type(summary).__name__}")
    check_hidden(f"{summary!r}", secrets, "the summary")
    for finding in credential.checks(subject.now, {}):
        promise(isinstance(finding, Finding), f"checks gives {type(finding).__name__}")
        promise(bool(finding.check and finding.sentence.strip()), "a finding without a check or a sentence")
        check_hidden(f"{finding!r}", secrets, "a finding of checks")
        promise(finding.level != "error", f"the good credential has an error: {finding.sentence}")
    for name in ("x.json", "x.p8", "x.p12", "x.pem", "x.cer", "x"):
        for case, content in UNREADABLE.items():
            try:
                known = credential.recognize(name, content, "no-password")
            except ValueError as error:
                promise(bool(str(error).strip()), f"recognize refuses {case} without a sentence")
            else:
                promise(known is None or isinstance(known, Recognized), "recognize gives something else")


def check_probe(subject: Subject) -> None:
    """Where there is a probe it passes with a good credential, and shows nothing on any device."""
    emulator, account = subject.emulator(), subject.fresh_account()
    adapter = subject.vendor.adapter
    probe = adapter.probe(account, subject.now)
    if probe is None:
        return
    request = adapter.render_probe(probe, account, subject.authorize(emulator, account))
    answer = emulator.handle(subject.call(request), subject.now)
    if answer.accepted:
        raise NotConformant("the probe shows a notification on a device")
    read = adapter.interpret(probe.push, account, answer.response)
    if isinstance(read, FollowUp):
        raise NotConformant("the probe asks for a second call")
    [outcome] = read
    good = outcome.code in probe.codes if probe.codes else outcome.action in probe.passes
    promise(good, f"a good credential fails its probe: {outcome.action!s} {outcome.code}")
