"""Patterns of the sentences that ask for each task in training.

In a pattern, (a|b|c) is one of its parts, and [x] is x or nothing. Braces hold the fields of a
task; {PICTURE} stands for the pattern PICTURE. `wordings` turns patterns into sentences.
"""

from __future__ import annotations

PICTURE = "(this|the) (picture|image|photo|scene|view)"
SHOW = (
    "(estimate|predict|compute|work out|draw|paint|show[ me]|find|detect|extract|create|make"
    "|produce|generate|render|give me|get)"
)


def _maps(noun: str, tail: str = "") -> tuple[str, ...]:
    """Ways to ask for a map of the picture. noun, tail: patterns."""
    tail = f"[{tail}]" if tail else ""
    return (
        f"{SHOW} the {noun} (of|for|from) {PICTURE}{tail}.",
        f"{SHOW} (a|the|its) {noun}{tail}.",
        f"(turn|convert|change|transform) {PICTURE} (into|to) [a|its] {noun}{tail}.",
        f"(I want|I need|I would like|let me see) (the|a) {noun} [of {PICTURE}]{tail}.",
        f"{SHOW} the {noun} (of|for) {PICTURE} and (paint|draw|show) it{tail}.",
        f"what is the {noun} of {PICTURE}?",
        f"{noun}[ of {PICTURE}]{tail}.",
    )


def _spoiled(noun: str, word: str, clear: str) -> tuple[str, ...]:
    """Ways to ask for the removal of a flaw. noun: of the flaw; word: an adjective for the picture;
    clear: a verb for this flaw."""
    return (
        "(remove|take away|clear away|erase|delete|clean off|take out|get rid of) [all][ the] "
        f"{noun}[ (from|in|of) {PICTURE}].",
        f"(make|show|give me|create) {PICTURE} without [the] {noun}.",
        f"(clean|repair|fix|improve|restore) (the|this|my) {word} (picture|image|photo).",
        f"{clear} {PICTURE}.",
        f"(no|no more|less) {noun}, please.",
        f"(this|the) (picture|image|photo) (is|looks) {word}, (clean|fix|repair|mend) it.",
    )


def _fill(what: str) -> tuple[str, ...]:
    return (
        f"(fill|fill in|complete|paint|inpaint|finish) {what}",
        f"(paint|draw|put) (something fitting|what is missing) (in|into|over) {what}",
        f"(make|create) what belongs (in|into) {what}",
        f"(restore|repair|replace|close) {what}",
    )


def _from(noun: str) -> tuple[str, ...]:
    """Ways to ask for a picture that follows a map."""
    return (
        "(create|make|paint|draw|generate|render) (a|the) (picture|image|photo|scene) "
        f"(from|with|by|for|out of) (this|the|these) {noun}: {{caption}}",
        f"(this|the) {noun} (shows|is) {{caption}}. (Paint|Draw|Render|Make) (it|the picture).",
        f"{{caption}}, (following|guided by|drawn on|as in|from) (this|the) {noun}",
        f"{noun} to (picture|image|photo): {{caption}}",
        f"(follow|use|take) (this|the|these) {noun} (and|to) (paint|draw|show|make) {{caption}}",
    )


AROUND = "(the borders|the edges|the sides|the blank margin|the border|the frame|what was cut off)"
HOLE = (
    "(the hole|the blank area|the missing part|the empty region|the masked area|the gap|the patch)"
)

PATTERNS: dict[str, tuple[str, ...]] = {
    "depth": _maps(
        "(depth|depth map|depth image|distance map|map of distances|depths|distances)",
        " (in grey|with near things bright|in shades of grey|from dark to bright|as a grey map)",
    ),
    "normal": _maps(
        "(surface normals|normals|normal map|surface normal map|surface directions|orientation)",
        " (in colour|as colours|coded in colours)",
    ),
    "segmentation": _maps(
        "(semantic segmentation|segmentation|segmentation map|class map|classes|semantic classes)",
        " (in flat colours|with class colours|by class)",
    ),
    "canny": _maps("(canny edges|canny map|canny edge map|canny)", " (in white|on black)"),
    "hed": _maps("(hed edges|hed map|soft edges|hed boundaries|soft boundaries|hed)"),
    "sketch": _maps("(sketch|hand sketch|rough sketch|pen sketch|sketch drawing)"),
    "lineart": _maps("(line art|line drawing|lineart|clean line art|ink lines)"),
    "pose": _maps("(pose|human pose|body pose|pose skeleton|skeletons|stick figures)"),
    "mask": (
        "(make|create|draw|paint|give me|show me|get|extract) (a|the) [binary|black and white] "
        "mask (of|for|over) {target}.",
        "(find|locate|select|mask|mask out|pick out) {target}[ as a mask].",
        "(mark|paint|show|draw) {target} in white[ on black][ and the rest black].",
        "mask {target}.",
        "(I need|I want|I would like) (a|the) mask (of|for|over) {target}.",
        "(draw|make|show|give me) the [white] (silhouette|shape|outline) of {target}[ on black].",
        "mask of {target}.",
        "where is {target}? (Paint it white|Give me a mask|Answer with a mask).",
    ),
    "highlight": (
        "(highlight|tint|shade|overlay|mark) {target} (in|with) [half-clear|transparent] {colour}.",
        "(paint|lay|draw) a [see-through|half-clear|transparent] {colour} (tint|layer|shade) "
        "(on|over) {target}.",
        "(find|locate|show) {target} and (tint|highlight) it [in] {colour}.",
        "{colour} (tint|overlay|shade) (on|over) {target}.",
        "(cover|shade) {target} (in|with) [a] {colour} (tint|layer|shade).",
    ),
    "box": (
        "(draw|paint|make|place) a {colour} [bounding] (box|rectangle|frame) (around|on|about) "
        "{target}.",
        "(find|locate|detect|show) {target} with a {colour} [bounding] (box|rectangle|frame).",
        "(detect|find) {target} and draw a {colour} [bounding] box.",
        "{colour} (box|rectangle|bounding box) around {target}.",
        "(frame|enclose|box in|surround) {target} (in|with|by) {colour}[ lines].",
        "(use|take) {colour} lines to (frame|box in|surround) {target}.",
    ),
    "edit": (
        "{caption}",
        "{caption} in {PICTURE}",
        "(I want you to|now|in this picture,|here,) {caption}",
        "(edit|change|alter|rework): {caption}",
    ),
    "recolour": (
        "(make|paint|turn|dye|colour|color|recolour) {target} {colour}[ now].",
        "change {target} to {colour}.",
        "(change|set|alter) the colour of {target} (to|into) {colour}.",
        "{target} should (be|become|turn) {colour}.",
        "(I want|I would like) {target} (in|to become|to turn) {colour}.",
        "(exchange|swap) the colour of {target} (with|by) {colour}.",
        "let {target} (be|become) {colour}.",
    ),
    "remove": (
        "(remove|erase|delete|clear|take out|take away|cut out) {target}[ from {PICTURE}].",
        "(remove|erase|delete) {target} and (fill in|paint|show) (the background|what is behind).",
        "(make|paint|give me) {PICTURE} without {target}.",
        "{target} should (vanish|be gone|go away).",
        "no {target} please.",
        "get rid of {target}[ in {PICTURE}].",
        "show {PICTURE} without {target}.",
    ),
    "add": (
        "(add|insert|place|put|draw|paint) {target}[ (in|into|to) {PICTURE}].",
        "there should (be|stand) {target}[ in {PICTURE}].",
        "(I want|I would like) {target} in {PICTURE}.",
        "(add|put in|bring in) {target}[ as well].",
        "(show|paint) {PICTURE} with {target}[ in it].",
    ),
    "replace": (
        "(replace|swap|substitute|trade) {target} (with|for|by) {caption}",
        "(put|paint|draw|place) {caption} (where {target} is|in place of {target})",
        "(make|turn) {target} into {caption}",
        "instead of {target}, (draw|paint|put|I want) {caption}",
        "(exchange|trade) {target} (with|against) {caption}",
        "where {target} is, (paint|draw|show) {caption}",
    ),
    "background": (
        "(change|set|turn|alter) the (background|backdrop) (to|into) {caption}",
        "(replace|exchange|swap) the (background|backdrop) (with|for|by) {caption}",
        "(move|put|set) (the objects|everything) (in front of|before|against) {caption}",
        "(make|paint) the (background|backdrop|room) {caption}",
        "(put|place) {caption} (behind the objects|behind everything|in the background)",
        "(new background|background): {caption}",
    ),
    "style": (
        "(make|paint|draw|render|show) {PICTURE} (as|like|in the style of) {caption}",
        "(turn|change|convert|transform) {PICTURE} (into|to) {caption}",
        "(style|in the style of|as): {caption}",
        "it should look like {caption}",
        "(restyle|repaint|redraw) {PICTURE} (like|to be|into) {caption}",
    ),
    "inpaint": tuple(f"{text}[: {{caption}}]" for text in _fill(HOLE)),
    "outpaint": (
        *(f"{text}[: {{caption}}]" for text in _fill(AROUND)),
        "(extend|widen|continue|enlarge|outpaint) {PICTURE} [on all sides][: {caption}]",
        "(zoom out|make it wider|make it larger)[: {caption}]",
        "(grow|stretch|carry on) {PICTURE} (outwards|beyond its frame)[: {caption}]",
    ),
    "denoise": _spoiled("(noise|grain|random noise)", "(noisy|grainy)", "(denoise|smooth)"),
    "derain": _spoiled("(rain|rain streaks|falling rain|drops)", "(rainy|wet|rained on)", "derain"),
    "desnow": _spoiled("(snow|snowflakes|falling snow|flakes)", "(snowy|snowed on)", "desnow"),
    "dehaze": _spoiled("(haze|fog|mist)", "(hazy|foggy|misty)", "(dehaze|defog|clear up)"),
    "deblur": _spoiled(
        "(blur|motion blur|softness)", "(blurry|blurred|out of focus)", "(deblur|sharpen|focus)"
    ),
    "deshadow": _spoiled(
        "(shadow|shadows|shade|dark shadow)", "(shadowed|shaded)", "(deshadow|even the light in)"
    ),
    "lowlight": _spoiled(
        "(darkness|gloom)", "(dark|too dark|low-light|dim)", "(brighten|light up|lighten)"
    ),
    "demoire": _spoiled("(moire|moire pattern|moire stripes|ripples)", "(rippled)", "demoire"),
    "watermark": _spoiled(
        "(watermark|watermark text|stamp|printed text|logo)", "(watermarked|stamped)", "unmark"
    ),
    "superres": (
        f"(upscale|enlarge|sharpen up|super-resolve) {PICTURE}[ with fine detail].",
        "(raise|increase|improve|double) the resolution[ of {PICTURE}].",
        "(make|turn) this (small|coarse|low-resolution|pixelated) (picture|image|photo) "
        "(sharp|large and sharp|high-resolution).",
        "(add|paint) [fine|more|missing] detail [to {PICTURE}].",
        "super-resolution[ of {PICTURE}].",
        "(show|make|paint) a [sharp] high-resolution (version|copy) of {PICTURE}.",
        "(restore|repair|fix) (the|my) (low-resolution|small|pixelated) (picture|image|photo).",
    ),
    "from_canny": _from("(canny edges|canny map|canny edge map|canny lines)"),
    "from_hed": _from("(hed map|hed edges|soft edges|hed boundaries)"),
    "from_depth": _from("(depth map|depth|depth image)"),
    "from_sketch": _from("(sketch|hand sketch|rough sketch)"),
    "from_pose": _from("(pose|pose skeleton|body pose|human pose)"),
    "from_segmentation": _from("(segmentation|segmentation map|class map)"),
    "from_normal": _from("(normal map|normals|surface normals)"),
    "from_lineart": _from("(line art|line drawing|lineart)"),
    "from_any": _from("(map|guide|control map|condition map|plan)"),
    "reflection": _spoiled(
        "(reflection|flash|glare|flash reflection|reflections|mirrored light)",
        "(glaring|mirrored)",
        "(take the flash out of|clear the glass in)",
    ),
    "restore": (
        f"(restore|repair|mend|clean up|fix) {PICTURE}.",
        "(remove|undo|take away) (all|the) (damage|flaws|faults)[ (from|in|of) {PICTURE}].",
        "(show|give me|make) {PICTURE} (undamaged|as new|without flaws|without damage).",
        "(this|the) (picture|image|photo) is damaged, (clean|fix|repair|mend) it.",
        "restore (the|this|my) (damaged|spoiled|old|bad) (picture|image|photo).",
        "picture restoration.",
    ),
    "restore_captioned": (
        f"(restore|repair|mend|clean up) {PICTURE}: {{caption}}",
        "(this|the) (damaged|spoiled) (picture|image|photo) (shows|is of) {caption}",
        "(undo|remove) the damage (and show|to show) {caption}",
        "(restore|bring back|recover) {caption}",
    ),
    "recolour_photo": (
        f"(restore|bring back|repair|refresh) the (colours|colors) (of|in) {PICTURE}.",
        "(colour|color|colourise|colorize) (the|this|my) [grey|faded|old] (picture|image|photo).",
        "(make|turn) (this|the) (grey|faded|pale) (picture|image|photo) colourful.",
        "(add|give) colour to {PICTURE}.",
        "(the|these) colours (are|have) faded, (restore|fix) them.",
        "colour restoration[ of {PICTURE}].",
    ),
    "text2image": (
        "(paint|draw|create|generate|make|render|imagine) {caption}",
        "(paint|draw|create|generate|make|render) (a picture|an image|a photo|a scene) "
        "(of|with|that has) {caption}",
        "(a picture|an image|a photo|a scene) (of|with) {caption}",
        "(show|give me|let me see) {caption}",
        "(on|use) the (blank|empty) (canvas|page)[ and] (paint|draw) {caption}",
        "{caption}",
    ),
}
