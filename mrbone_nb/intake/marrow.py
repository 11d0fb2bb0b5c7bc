"""Whether fatty marrow is likely bright or dark, from how the image was made."""

from __future__ import annotations

import re

from .records import Frame

FAT_WORDS = re.compile(
    r"(?<![a-z])(fs|fatsat|fat[ _-]?sat\w*|spir|spair|stir|tirm|ideal[ _-]?w\w*|water|we|chemsat|dixon[ _-]?w)(?![a-z])"
)
SUPPRESSING = {
    "FS",
    "SFS",
    "FATSAT",
    "FAT_SAT",
    "FSS",
    "FSI",
    "SPIR",
    "SPAIR",
    "STIR",
    "ASPIR",
    "FAT",
    "FAT_AND_WATER",
    "WATER",
}


def polarity(frame: Frame) -> tuple[str, str]:
    """Tell how bright marrow is likely to be in an image.

    Returns
    -------
    tuple of str
        "bright", "dark" or "unknown", and the reason.
    """
    if frame.source.modality != "MR":
        return "unknown", f"{frame.source.modality or 'no modality'}: not an MR image"
    if frame.component == "water":
        return "dark", "water image: fat is taken out"
    if frame.component in ("fat", "in phase"):
        return "bright", f"{frame.component} image"
    if frame.component != "magnitude":
        return "unknown", f"{frame.component} image"
    suppressed, why = fat_suppressed(frame)
    if suppressed:
        return "dark", why
    return _by_sequence(frame)


def fat_suppressed(frame: Frame) -> tuple[bool | None, str]:
    """Tell whether fat was suppressed: True or False with the reason, None where the header does not tell."""
    facts, source = frame.source.facts, frame.source
    options = {o for o in facts["options"]} | set(facts["suppression"])
    found = options & SUPPRESSING or {o for o in options if o.startswith(("FS_", "FATSAT", "SPIR", "SPAIR"))}
    if found:
        return True, f"fat suppressed ({sorted(found)[0]})"
    if facts.get("excitation") in ("WATER", "WATER_EXCITATION"):
        return True, "water excitation"
    ti, sequence = facts["ti"], facts["sequence"]
    inverted = "IR" in sequence or facts.get("inversion") == "YES"
    if inverted and "GR" not in sequence and ti and 80 <= ti <= 260:
        return True, f"short inversion time of {ti:g} ms (STIR)"
    words = f"{source.description} {facts['protocol']} {facts['name']}".lower()
    match = FAT_WORDS.search(words)
    if match:
        return True, f"the series description says {match.group(1)!r}"
    if facts["options"] or facts["suppression"] or facts["sequence"]:
        return False, "no fat suppression in the header"
    return None, "the header does not tell about fat suppression"


def _by_sequence(frame: Frame) -> tuple[str, str]:
    facts, te = frame.source.facts, frame.echo_time
    words = f"{frame.source.description} {facts['name']}".lower()
    sequence = facts["sequence"]
    if "dess" in words or re.search(r"\*?de3d", words):
        return "dark", "DESS, as a rule with water excitation"
    if "EP" in sequence:
        return "dark", "echo planar imaging, as a rule with fat suppression"
    gradient = "GR" in sequence or facts["pulse"] == "GRADIENT"
    spin = "SE" in sequence or facts["pulse"] in ("SPIN", "BOTH")
    if te is None:
        return "unknown", "the header states no echo time"
    if gradient and not spin:
        if te <= 6.0:
            return "bright", f"gradient echo, short echo time of {te:g} ms, no fat suppression"
        if te >= 12.0:
            return "dark", f"gradient echo, long echo time of {te:g} ms: trabeculae take the signal of marrow"
        return "unknown", f"gradient echo with an echo time of {te:g} ms: fat and water may be in or out of phase"
    if spin:
        if "IR" in sequence and te > 100:
            return "unknown", "inversion recovery with a long echo time"
        return "bright", f"spin echo (echo time {te:g} ms), no fat suppression"
    return "unknown", "the header does not name the kind of sequence"
