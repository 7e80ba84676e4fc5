"""Ways in which a file is damaged."""

KINDS = ("empty", "cut", "zeros", "garbage", "other")


def damage(path, how):
    """Damage a file that has something in it."""
    content = path.read_bytes()
    half = len(content) // 2
    damaged = {
        "empty": b"",
        "cut": content[:half],
        "zeros": content[:half] + bytes(len(content) - half),
        "garbage": bytes(range(1, 256)) * 4,
        "other": b"[]",
    }[how]
    assert damaged != content
    path.write_bytes(damaged)
