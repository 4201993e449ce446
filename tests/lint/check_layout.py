#!/usr/bin/env python3
"""check_layout.py: the rules of the source tree that a compiler does not check.

usage: check_layout.py [ROOT]; prints each violation as "file:line: text" and exits 1 when there is one.
Checked: direction of includes, third-party headers in their files only, forbidden calls, file length, the
header comment, that every .c is built, that no path of somebody's machine stands in a file.
"""
import fnmatch
import os
import re
import sys

LENGTH = {'.c': 600, '.h': 600, '.py': 600, '.js': 600, '.mjs': 600, '.css': 600, '.html': 600, '.def': 900}
TEXT = tuple(LENGTH) + ('.build', '.md', '.txt', '.sh', '.json', '.conf', '.example', '.service')

# Who may include what of ours. The first row whose pattern matches the including file counts.
OUTSIDE_BASE = {'common/' + h for h in ('loop.h', 'evzmq.h', 'http.h', 'http_guard.h', 'json.h', 'crypto.h')}
DIRECTION = [
    ('tests/*', ['*']),
    ('common/*', ['common/*', 'proto/errors.def', 'proto/counters.def']),
    ('proto/doc.c', ['proto/*', 'common/*', '*.def']),
    ('proto/wire_json.*', ['proto/*', 'common/*']),
    ('proto/*', ['proto/*', 'base']),
    ('supervisor/cli/*', ['supervisor/*', 'proto/*', 'common/*', 'workers/runtime/plane_*.h', '*.def']),
    ('supervisor/*', ['supervisor/*', 'proto/control.*', 'base', '*.def']),
    ('agent/*', ['agent/*', 'workers/runtime/*', 'proto/*', 'common/*', 'workers/workers.def']),
    ('workers/*', ['{own}/*', 'workers/runtime/*', 'proto/*', 'common/*', 'workers/workers.def']),
]

# Third-party headers and the files that may include them (tests may include any).
THIRD_PARTY = {
    'zmq.h': ['common/evzmq.c'], 'czmq.h': ['common/evzmq.c'], 'curl/*': ['common/http*.c'],
    'lmdb.h': ['workers/store/*'], 'libwebsockets.h': ['workers/edge/*_lws.c', 'workers/chan/ws.c'],
    'libconfig.h': ['supervisor/conf_load.c'], 'jansson.h': ['common/json.h'],
    'sodium.h': ['common/crypto.c'], 'seccomp.h': ['workers/runtime/sandbox_calls.c'], 'ev.h': ['common/loop.h', 'supervisor/sup.h', 'supervisor/evidence.h'], 'msgpack.h': ['proto/*'],
    'openssl/*': ['workers/chan/*', 'workers/edge/tls.c'], 'systemd/*': ['supervisor/*'], 'cmocka.h': [],
    'pthread.h': [], 'threads.h': [],
}

# Calls, the files that may make them, and what to use instead.
CALLS = [
    (r'system|popen|wordexp', [], 'clone or fork and exec a fixed program'),
    (r'v?sprintf|strcpy|strcat|stpcpy|gets|strtok', [], 'a bounded form: snprintf, sv_copy, buf'),
    (r'alloca', [], 'xmalloc or an arena'),
    (r'(?:sig)?setjmp|(?:sig)?longjmp', [], 'early return'),
    (r'signal', [], 'sigaction or signalfd'),
    (r'pthread_\w+|thrd_create', ['tests/unit/runtime/test_sandbox.c'], 'the loop: there are no threads'),
    (r'malloc|calloc|realloc|reallocarray|free|strdup|strndup|v?asprintf', ['common/*', 'tests/*'],
     'the x* family, buf or arena'),
    (r'sleep|usleep|nanosleep', ['tests/*'], 'a timer of the loop'),
]
CALLS = [(re.compile(r'(?<![\w.>])(' + names + r')\s*\('), files, hint) for names, files, hint in CALLS]

MACHINE_PATH = re.compile(r'/(?:work|home/(?!u/|user/)\w+|Users/\w+|root)/[\w.]')
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
STRINGS = re.compile(r"'([^'\n]+)'")

violations = []


def say(path, line, text):
    violations.append((path, line, text))


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, p) for p in patterns)


def tree(root):
    """Paths of the source files below root, without builds, packages and hidden folders."""
    for folder, dirs, files in os.walk(root):
        top = os.path.samefile(folder, root)
        dirs[:] = sorted(d for d in dirs if d != 'node_modules' and not (top and d.startswith('build'))
                         and (not d.startswith('.') or d == '.ci'))
        for name in sorted(files):
            if name.endswith(TEXT) or folder.endswith('.ci') or (top and name in ('run', 'test')):
                yield os.path.relpath(os.path.join(folder, name), root)


def check_include(path, no, kind, target, exists):
    if path.startswith('tests/'):
        return
    for pattern, files in THIRD_PARTY.items():
        if fnmatch.fnmatchcase(target, pattern) and not matches(path, files):
            say(path, no, f'<{target}> belongs in {" ".join(files) or "no file of ours"}')
    if kind == '<':
        return
    if not exists(target):
        say(path, no, f'"{target}" is not a path from the root of the project')
        return
    own = '/'.join(path.split('/')[:2])
    for pattern, allowed in DIRECTION:
        if fnmatch.fnmatchcase(path, pattern):
            allowed = [a.replace('{own}', own) for a in allowed]
            base = 'base' in allowed and target.startswith('common/') and target not in OUTSIDE_BASE
            if not base and not matches(target, allowed):
                say(path, no, f'must not include "{target}" (direction of dependencies)')
            return


def check_code(path, text, exists):
    for no, line in enumerate(text.split('\n'), 1):
        found = INCLUDE.match(line)
        if found:
            check_include(path, no, found.group(1), found.group(2), exists)
    bare = NOISE.sub(lambda m: ' ' + '\n' * m.group(0).count('\n'), text)
    for no, line in enumerate(bare.split('\n'), 1):
        if line.lstrip().startswith('#'):
            continue
        for regex, files, hint in CALLS:
            found = regex.search(line)
            if found and not matches(path, files):
                say(path, no, f'{found.group(1)}() is not used here; use {hint}')


def check_header(path, text, exists):
    head = text[:text.find('*/')] if text.startswith('/*') else ''
    if f'* {os.path.basename(path)}: ' not in head:
        say(path, 1, 'does not begin with the header comment "file: what it is for"')
    for word in ('Runs in:', 'Owns:', 'Never:', 'Tested in:'):
        if word not in head and not path.endswith('.def'):
            say(path, 1, f'the header comment has no "{word}"')
    for no, line in enumerate(head.split('\n'), 1):
        for named in re.findall(r'\btests/[\w./-]+\.(?:c|mjs)\b', line):
            if not exists(named):
                say(path, no, f'names {named}, which does not exist')


def check_built(path, builds):
    """A .c is built when a meson.build at or above its folder names it (or its stem, in a foreach)."""
    folder = os.path.dirname(path)
    while True:
        rel = os.path.relpath(path, folder or '.')
        stem = rel[:-2]
        names = builds.get(os.path.join(folder, 'meson.build'), set())
        if names & {rel, stem, re.sub(r'^(test|fuzz)_', '', stem)}:
            return
        if not folder:
            say(path, 1, 'is in no meson.build')
            return
        folder = os.path.dirname(folder)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), '..', '..')
    texts = {}
    for path in tree(root):
        with open(os.path.join(root, path), encoding='utf-8') as f:
            texts[path] = f.read()
    builds = {p: set(STRINGS.findall(t)) for p, t in texts.items() if p.endswith('meson.build')}

    def exists(target):
        return target in texts or os.path.exists(os.path.join(root, target))

    for path, text in texts.items():
        ext = os.path.splitext(path)[1]
        lines = text.count('\n')
        if lines > LENGTH.get(ext, lines):
            say(path, lines, f'{lines} lines, more than {LENGTH[ext]}: split by concept')
        if ext in ('.c', '.h', '.def'):
            check_header(path, text, exists)
        if ext in ('.c', '.h'):
            check_code(path, text, exists)
        if ext == '.c':
            check_built(path, builds)
        for no, line in enumerate(text.split('\n'), 1):
            if MACHINE_PATH.search(line) and path != 'tests/lint/check_layout.py':
                say(path, no, 'a path of one machine: ' + MACHINE_PATH.search(line).group(0))
    for path, line, text in sorted(violations):
        print(f'{path}:{line}: {text}')
    print(f'{len(texts)} files, {len(violations)} violations')
    return 1 if violations else 0


sys.exit(main())
