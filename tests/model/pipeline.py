#!/usr/bin/env python3
"""pipeline.py: every state the pipeline can reach, from a message on a platform to its answer on a platform.

usage: pipeline.py [-v]; prints states and result of each variant and mutant, exits 1 when a variant breaks a promise
or a mutant does not. -v prints how a mutant gets there.

One message, one run with one tool call, one answer of one part. Explored exhaustively: any number of kills of any
process (channel worker, store, agent, or all at once as when the supervisor dies) at any step, loss of any answer, a
repeat of any request that arrives later, a lease that expires although its agent lives, a platform that refuses or
whose response is lost. The store handles, commits, then answers. A kill before the commit leaves what was; a kill
between commit and answer loses the answer; nothing else can tell the three apart, so they are one step with these
outcomes. The promises:

  always    at most one answer is visible (`resend`: two only where a fault fell between sending and receipt);
            a tool that must not be repeated runs at most once
  at rest   the message is confirmed; exactly one answer is visible (`hold`: or its delivery is listed as unknown)
  progress  from every state, rest can be reached without another fault

Numbers that only grow are kept as what matters about them, which makes the space finite: of a fence, whether it is
the run's latest (`fresh`); of an incarnation, whether it is the living one (`mine`).

A mutant is the pipeline with one rule broken. Each must be caught; a model that cannot fail proves nothing.
"""
import sys
import time
from collections import deque
from typing import NamedTuple

ATTEMPTS = 3    # RUN_ATTEMPTS of the store
MANY = 2        # counters stop here: two is as wrong as three


class Run(NamedTuple):
    state: str = 'queued'     # queued running done
    attempt: int = 0
    rows: str = ''            # '' nothing, I tool intent, IR intent and result
    orphan: bool = False      # the holder of its lease was killed


class Out(NamedTuple):
    state: str = 'queued'     # queued claimed started delivered unknown
    mine: bool = False        # held by the channel worker that lives now
    key: int = 0              # what a keyed platform recognises repeats by


class Db(NamedTuple):
    """What is committed."""
    idem: bool = False        # the event id is known
    runs: tuple = ()
    outs: tuple = ()


class Agent(NamedTuple):
    """An agent at work on a run."""
    run: int
    fresh: bool               # its fence is the run's latest
    phase: str                # intent tool result finish


class World(NamedTuple):
    confirmed: bool = False   # the platform was told that its message arrived; until then it delivers again
    inbound: bool = False     # the channel worker has the message and asks the store to take it
    part: tuple = ()          # of the channel worker: (delivery, begin | send | sent | ok | again | unknown)
    agents: tuple = ()
    db: Db = Db()
    late: tuple = ()          # a request that was repeated and arrives once more, before the next one of its sender
    expired: bool = False     # the one lease that may expire has
    visible: tuple = ()       # keys of the answers people see
    tools: int = 0            # how often the tool ran
    gap: bool = False         # a fault fell between bytes out and receipt


def put(seq, i, value):
    return seq[:i] + (value,) + seq[i + 1:]


def without(seq, value):
    i = seq.index(value)
    return seq[:i] + seq[i + 1:]


class Store:
    """Its handlers: (db, what the request carries) -> (db afterwards, answers). None sends by itself."""

    def __init__(self, rules):
        self.rules = rules

    def ingest(self, db):
        if not db.idem:
            db = db._replace(idem=True, runs=db.runs + (Run(),))
        return db, (('ingested',),)

    def holds(self, run, fresh):
        """ok, exists (this run was finished under this very fence) or fenced."""
        if self.rules.broken == 'no fence':
            return 'ok'
        if run.state == 'done':
            return 'exists' if fresh else 'fenced'
        return 'ok' if run.state == 'running' and fresh else 'fenced'

    def step(self, db, r, fresh, what):
        run = db.runs[r]
        ok = self.holds(run, fresh) == 'ok'
        if ok and what not in run.rows:
            db = db._replace(runs=put(db.runs, r, run._replace(rows=run.rows + what)))
        return db, (('stepped', r, fresh, what, ok),)

    def finish(self, db, r, fresh):
        held = self.holds(db.runs[r], fresh)
        if held == 'ok' or (held == 'exists' and self.rules.broken == 'repeated finish not recognised'):
            db = self.end(db, r)
        return db, (('finished', r, fresh),)

    def end(self, db, r):
        """Run state and delivery in one transaction."""
        return db._replace(runs=put(db.runs, r, db.runs[r]._replace(state='done')),
                           outs=(db.outs + (Out(key=len(db.outs)),))[:MANY])

    def want(self, db):
        """The channel worker takes deliveries; what a dead predecessor had is settled first."""
        answers = ()
        for i, o in enumerate(db.outs):
            if o.state in ('claimed', 'started') and not o.mine:
                hold = o.state == 'started' and not self.rules.keyed and not self.rules.resend
                o = o._replace(state='unknown' if hold else 'queued')
            if o.state == 'queued':
                fresh_key = self.rules.broken == 'key changes with each attempt'
                o = o._replace(state='claimed', mine=True, key=(o.key + 1) % 3 if fresh_key else o.key)
            if o.state == 'claimed' and not answers:
                answers = (('deliver', i),)
            db = db._replace(outs=put(db.outs, i, o))
        return db, answers

    def begin(self, db, i):
        o = db.outs[i]
        held = o.mine and o.state in ('claimed', 'started')
        if held:
            db = db._replace(outs=put(db.outs, i, o._replace(state='started')))
        return db, (('begun', i, held),)

    def receipt(self, db, i, outcome):
        o = db.outs[i]
        if o.mine and o.state in ('claimed', 'started'):
            state = {'ok': 'delivered', 'again': 'queued', 'unknown': 'unknown'}[outcome]
            db = db._replace(outs=put(db.outs, i, o._replace(state=state)))
        return db, (('received', i),)

    def grant(self, db, r):
        run = db.runs[r]
        if run.state != 'queued':
            return db, ()
        run = run._replace(state='running', attempt=run.attempt + 1, orphan=False)
        return db._replace(runs=put(db.runs, r, run)), (('grant', r, run.rows, True),)

    def regrant(self, db, r):
        """Its agent says that it does not know of this lease: the grant was lost. Same fence."""
        run = db.runs[r]
        return db, (('grant', r, run.rows, False),) if run.state == 'running' and not run.orphan else ()

    def lose(self, db, r):
        """Its agent is dead or silent: back into the queue; after the last attempt an error is the answer."""
        run = db.runs[r]
        if run.state != 'running':
            return db, ()
        if run.attempt >= ATTEMPTS:
            return self.end(db, r), ()
        return db._replace(runs=put(db.runs, r, run._replace(state='queued'))), ()


class Pipeline:
    """keyed: the platform recognises repeats; resend: policy for unknown outcomes on keyless platforms;
    replay: the tool may be repeated; broken: name of the broken rule of a mutant."""

    def __init__(self, keyed, resend=False, replay=False, broken=None):
        self.keyed, self.resend, self.replay, self.broken = keyed, resend, replay, broken
        self.store = Store(self)

    # ---- answers and pushes arrive

    def arrive(self, w, a):
        return getattr(self, 'got_' + a[0])(w, *a[1:])

    def got_ingested(self, w):
        return w._replace(inbound=False, confirmed=True) if w.inbound else w

    def got_grant(self, w, r, rows, new):
        if not new and any(a.run == r and a.fresh for a in w.agents):
            return w
        again = self.replay or self.broken == 'tool run again without the replay flag'
        phase = {'': 'intent', 'I': 'tool' if again else 'result', 'IR': 'finish'}[rows]
        return w._replace(agents=tuple(sorted(w.agents + (Agent(r, True, phase),))))

    def agent(self, w, old, phase):
        if old not in w.agents:
            return w
        agents = without(w.agents, old) + ((old._replace(phase=phase),) if phase else ())
        return w._replace(agents=tuple(sorted(agents)))

    def got_stepped(self, w, r, fresh, what, ok):
        phase, after = ('intent', 'tool') if what == 'I' else ('result', 'finish')
        return self.agent(w, Agent(r, fresh, phase), after if ok else '')

    def got_finished(self, w, r, fresh):
        return self.agent(w, Agent(r, fresh, 'finish'), '')

    def got_deliver(self, w, i):
        if w.part or not w.db.outs[i].mine:
            return w
        ask = not self.keyed and self.broken != 'BEGIN left out on a keyless platform'
        return w._replace(part=(i, 'begin' if ask else self.first()))

    def first(self):
        return 'ok' if self.broken == 'receipt before sending' else 'send'

    def got_begun(self, w, i, ok):
        return w._replace(part=(i, self.first()) if ok else ()) if w.part == (i, 'begin') else w

    def got_received(self, w, i):
        if not w.part or w.part[0] != i or w.part[1] not in ('ok', 'again', 'unknown'):
            return w
        more = self.broken == 'receipt before sending' and w.part[1] == 'ok'
        return w._replace(part=(i, 'send') if more else ())

    # ---- what reaches the store: requests are repeated until they are answered

    def requests(self, w):
        if w.inbound:
            yield ('ingest',)
        for a in w.agents:
            if a.phase in ('intent', 'result'):
                yield ('step', a.run, a.fresh, 'I' if a.phase == 'intent' else 'R')
            if a.phase == 'finish':
                yield ('finish', a.run, a.fresh)
        if w.part and w.part[1] == 'begin':
            yield ('begin', w.part[0])
        if w.part and w.part[1] in ('ok', 'again', 'unknown'):
            yield ('receipt',) + w.part
        if not w.part and any(o.state in ('queued', 'claimed', 'started') for o in w.db.outs):
            yield ('want',)

    def own_work(self, w):
        """What the store does by itself, or because the supervisor or an agent without work says so."""
        for r, run in enumerate(w.db.runs):
            if run.state == 'queued':
                yield ('grant', r)
            elif run.state == 'running' and run.orphan:
                yield ('lose', r)
            elif run.state == 'running' and not any(a.run == r and a.fresh for a in w.agents):
                yield ('regrant', r)

    def serve(self, w, req):
        """What may come of one request: (a fault?, world afterwards)."""
        db, answers = getattr(self.store, req[0])(w.db, *req[1:])
        if req[0] == 'grant' and answers and self.broken != 'a new grant keeps the fence':
            w = self.outdate(w, req[1])
        done = w._replace(db=db)
        answered = done
        for a in answers:
            answered = self.arrive(answered, a)
        yield False, answered
        if answers:
            yield True, done
        if self.broken == 'answer before commit' and answers:
            yield True, answered._replace(db=w.db)
        if self.broken == 'delivery outside of the FINISH transaction' and len(db.outs) > len(w.db.outs):
            yield True, done._replace(db=db._replace(outs=w.db.outs))

    @staticmethod
    def outdate(w, r):
        """A new fence: whoever works on this run, or wrote about it, has the old one."""
        late = w.late
        if late and late[0] in ('step', 'finish') and late[1] == r:
            late = late[:2] + (False,) + late[3:]
        return w._replace(late=late, agents=tuple(sorted(a._replace(fresh=a.fresh and a.run != r) for a in w.agents)))

    @staticmethod
    def behind(late, req):
        """One connection keeps its order: a request waits behind an earlier one of the same sender."""
        if not late or req == late:
            return False
        agents = ('step', 'finish')
        if late[0] in agents:
            return req[0] in agents and req[1:3] == late[1:3]
        return req[0] not in agents + ('grant', 'lose', 'regrant')

    # ---- what can happen

    def steps(self, w):
        """Everything that can happen next: (a fault?, name, world afterwards)."""
        for req in (*self.requests(w), *self.own_work(w)):
            if not self.behind(w.late, req):
                for fault, after in self.serve(w, req):
                    yield fault, f'store handles {req}' + ', answer lost or killed' * fault, after
        if w.late:
            for fault, after in self.serve(w._replace(late=()), w.late):
                yield fault, f'repeat of {w.late} arrives', after
        for name, after in self.progress(w):
            yield False, name, after
        for name, after in self.faults(w):
            yield True, name, after

    def progress(self, w):
        if not w.confirmed and not w.inbound:
            early = self.broken == 'platform confirmed before the store'
            yield 'platform delivers', w._replace(inbound=True, confirmed=early)
        for a in w.agents:
            if a.phase == 'tool':
                yield 'tool runs', self.agent(w._replace(tools=min(w.tools + 1, MANY)), a, 'result')
        if w.part and w.part[1] == 'send':
            yield 'bytes leave', self.transmit(w)
        if w.part and w.part[1] == 'sent':
            yield 'platform responds', self.respond(w, 'ok')

    def transmit(self, w):
        key = w.db.outs[w.part[0]].key
        if not (self.keyed and key in w.visible):
            w = w._replace(visible=(w.visible + (key,))[:MANY])
        return w._replace(part=(w.part[0], 'sent'))

    def respond(self, w, outcome):
        return w._replace(part=() if self.broken == 'receipt before sending' else (w.part[0], outcome))

    def faults(self, w):
        if not w.late:
            for req in self.requests(w):
                yield f'repeat of {req} on its way', w._replace(late=req)
        if w.late:
            yield 'repeat lost', w._replace(late=())
        if w.part and w.part[1] == 'send':
            yield 'platform refuses', self.respond(w, 'again')
        if w.part and w.part[1] in ('send', 'sent'):
            cut = self.respond(w, 'again' if self.keyed or self.resend else 'unknown')
            yield 'connection cut', cut._replace(gap=w.gap or w.part[1] == 'sent')
        for r, run in enumerate(w.db.runs):
            if run.state == 'running' and not run.orphan and not w.expired:
                yield 'lease expires', w._replace(expired=True, db=self.store.lose(w.db, r)[0])
        yield 'store killed', self.lose_store(w)
        yield 'channel worker killed', self.lose_channel(w)
        for a in w.agents:
            yield f'{a} killed', self.lose_agent(w, a)
        yield 'supervisor killed', self.lose_all(w)

    def lose_store(self, w):
        db = w.db
        if self.broken == 'dedupe keys forgotten at restart':
            db = db._replace(idem=False)
        return w._replace(db=db, late=())

    @staticmethod
    def lose_channel(w):
        """The store drops what a dead incarnation asked for, and nothing it holds is `mine` any more."""
        db = w.db._replace(outs=tuple(o._replace(mine=False) for o in w.db.outs))
        late = () if w.late and w.late[0] not in ('step', 'finish') else w.late
        gap = w.gap or bool(w.part and w.part[1] in ('sent', 'ok'))
        return w._replace(inbound=False, part=(), late=late, gap=gap, db=db)

    @staticmethod
    def orphan(db, r):
        run = db.runs[r]
        return db._replace(runs=put(db.runs, r, run._replace(orphan=True))) if run.state == 'running' else db

    def lose_agent(self, w, a):
        late = () if w.late and w.late[0] in ('step', 'finish') and w.late[1:3] == a[:2] else w.late
        return w._replace(agents=without(w.agents, a), late=late, db=self.orphan(w.db, a.run) if a.fresh else w.db)

    def lose_all(self, w):
        w = self.lose_channel(self.lose_store(w))
        db = w.db
        for r in range(len(db.runs)):
            db = self.orphan(db, r)
        return w._replace(db=db, agents=(), late=())

    # ---- promises

    def wrong(self, w):
        """What may never be, in any state."""
        if len(w.visible) > 1 and not (self.resend and w.gap):
            return 'two answers to one message'
        if w.tools > 1 and not self.replay:
            return 'a tool that must not be repeated ran twice'
        if len(w.db.runs) > 1:
            return 'two runs for one message'
        return None

    def unfinished(self, w):
        """What may not be when nothing more can happen."""
        unknown = any(o.state == 'unknown' for o in w.db.outs)
        if not w.confirmed:
            return 'the platform was never told'
        if not w.visible and not unknown:
            return 'message lost: no answer, and nobody is told'
        if self.keyed and unknown:
            return 'unknown outcome although the platform has keys'
        return None


def way(seen, w):
    """How the search came there."""
    steps = []
    while seen[w]:
        w, name = seen[w]
        steps.append(name)
    return steps[::-1]


def explore(p):
    """(number of states, None or (what is wrong, the way there))."""
    start = World()
    seen = {start: None}
    back, resting = {}, []
    queue = deque([start])
    while queue:
        w = queue.popleft()
        steps = [s for s in p.steps(w) if s[2] != w]
        ahead = [after for fault, _, after in steps if not fault]
        if not ahead:
            resting.append(w)
        bad = p.wrong(w) or (not ahead and p.unfinished(w))
        if bad:
            return len(seen), (bad, way(seen, w))
        for n in ahead:
            back.setdefault(n, []).append(w)
        for _, name, n in steps:
            if n not in seen:
                seen[n] = (w, name)
                queue.append(n)
    rests = set(resting)
    queue.extend(resting)
    while queue:
        for w in back.get(queue.popleft(), ()):
            if w not in rests:
                rests.add(w)
                queue.append(w)
    stuck = next((w for w in seen if w not in rests), None)
    return len(seen), stuck and ('it can never come to rest', way(seen, stuck))


VARIANTS = [
    ('keyed platform: exactly one answer', dict(keyed=True)),
    ('keyed platform, tool with replay flag', dict(keyed=True, replay=True)),
    ('keyless, hold: at most one, the rest listed as unknown', dict(keyed=False)),
    ('keyless, resend: at least one, two only in the gap', dict(keyed=False, resend=True)),
]
MUTANTS = [
    ('platform confirmed before the store', dict(keyed=True)),
    ('answer before commit', dict(keyed=True)),
    ('no fence', dict(keyed=True)),
    ('a new grant keeps the fence', dict(keyed=True)),
    ('receipt before sending', dict(keyed=True)),
    ('receipt before sending', dict(keyed=False)),
    ('tool run again without the replay flag', dict(keyed=True)),
    ('BEGIN left out on a keyless platform', dict(keyed=False)),
    ('delivery outside of the FINISH transaction', dict(keyed=True)),
    ('repeated finish not recognised', dict(keyed=True)),
    ('key changes with each attempt', dict(keyed=True)),
    ('dedupe keys forgotten at restart', dict(keyed=True)),
]


def main():
    verbose = '-v' in sys.argv
    failed = 0
    print(f'{"":58} {"states":>8} {"s":>6}  result')
    for name, options in VARIANTS + [(n, {**o, 'broken': n}) for n, o in MUTANTS]:
        began = time.monotonic()
        states, bad = explore(Pipeline(**options))
        mutant = 'broken' in options
        failed += (bad is not None) != mutant
        if mutant:
            text = f'caught: {bad[0]} ({len(bad[1])} steps)' if bad else 'NOT CAUGHT'
            name = f'mutant: {name}' + ('' if options['keyed'] else ', keyless')
        else:
            text = f'BROKEN: {bad[0]}' if bad else 'holds'
        print(f'{name:58} {states:8} {time.monotonic() - began:6.1f}  {text}', flush=True)
        if bad and (verbose or not mutant):
            print('\n'.join('    ' + step for step in bad[1]))
    print(f'{len(VARIANTS)} variants, {len(MUTANTS)} mutants, {failed} wrong')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
