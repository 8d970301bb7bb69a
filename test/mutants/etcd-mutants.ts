/**
 * The causes of what has gone wrong with etcd's consistency since 2022, planted here; the table in docs/proof.md says what
 * it was there. That of #20271 is in store-mutants.ts: it was here, too.
 */
import type { Mutant } from './plant.ts'

const RAFT = 'node-server/raft'
const MVCC = 'node-server/mvcc'
const NODE = 'node-server/node'

export const ETCD_MUTANTS: readonly Mutant[] = [
  {
    name: 'the applied index may be on disk before what the entry does (etcd #13766)',
    file: `${MVCC}/apply.ts`,
    find: '      buffer.publishDraft()\n      advanceApplied(this.#store, this.#position)\n',
    replace:
      '      advanceApplied(this.#store, this.#position)\n      if (this.#position.index % 7 === 0) void this.#store.commit()\n      buffer.publishDraft()\n',
  },
  {
    name: 'a member alone applies what is on its way to its disk (etcd #14370)',
    file: `${RAFT}/ready.ts`,
    find: '  log.unstableFrom = LogIndex(lastIndex(log) + 1)\n',
    replace:
      "  log.unstableFrom = LogIndex(lastIndex(log) + 1)\n  if (raft.configuration.voters.length === 1 && raft.role.kind === 'leader') {\n    log.durableTo = lastIndex(log)\n    ownEntriesDurable(raft, raft.role, log.durableTo)\n  }\n",
  },
  {
    name: 'what is kept in memory of the store stays when a snapshot replaces it (etcd #14571)',
    file: `${NODE}/apply/applier.ts`,
    find: '    this.#store = store\n    this.#committer = this.#createCommitter()\n',
    replace:
      '    this.#store = Object.assign(store, { alarms: this.#store.alarms })\n    this.#committer = this.#createCommitter()\n',
  },
  {
    name: 'a defragmentation writes what is applied without its index (etcd #14685)',
    file: `${NODE}/maintenance/store-files.ts`,
    find: 'await live.store.commit().catch(',
    replace: 'await (live.store.isCommitting ? live.store.commit() : live.store.buffer.commit()).catch(',
  },
  {
    name: 'progress is told though events wait (etcd #15220)',
    file: 'node-server/api/etcd/watch-stream.ts',
    find: 'for (const open of this.#watches.values()) if (!isUpTo(open, revision)) return',
    replace: '',
  },
  {
    name: 'a watch reads on from where it began when a snapshot has replaced the store (etcd #15271)',
    file: `${NODE}/watch/watchable-store.ts`,
    find: '      this.#sets.displace(watcher)\n      watcher.nextRevision = Math.max(watcher.nextRevision, before)\n      this.#sets.place(watcher, this.#cursor)\n    }\n  }',
    replace: '      this.#sets.displace(watcher)\n      this.#sets.place(watcher, this.#cursor)\n    }\n  }',
  },
  {
    name: 'the write buffer does not hide what it replaces (etcd #17247)',
    file: `${MVCC}/layer.ts`,
    find: 'if (b.done !== true && a.value.key === b.value.key) b = right.next()',
    replace: '',
  },
  {
    name: 'a watch that a compaction has overtaken ends in silence (etcd #17529)',
    file: `${NODE}/watch/watchable-store.ts`,
    find: '        watcher.outlet.compacted(watcher, compactRevision)\n',
    replace: '',
  },
  {
    name: 'the revision is read off the keys at a start (etcd #17780)',
    file: `${MVCC}/store.ts`,
    find: '    this.#meta = { ...readMeta(this.backend) }\n',
    replace:
      "    this.#meta = { ...readMeta(this.backend) }\n    let newest = Math.max(1, this.#meta.compactedRevision)\n    for (const { value } of this.backend.scan('current', Buffer.of(0), undefined)) newest = Math.max(newest, Number(Buffer.from(value).readBigUInt64BE(0)))\n    this.#meta.revision = newest as Revision\n",
  },
  {
    name: 'a deletion at the compacted revision goes with what it hides (etcd #18089)',
    file: `${MVCC}/compaction.ts`,
    find: '(revision < target ? removeRecord(store, name, record) : 0)',
    replace: '(revision <= target ? removeRecord(store, name, record) : 0)',
  },
  {
    name: 'how far a compaction has come on a member decides what a txn may read (etcd #18667)',
    file: `${MVCC}/txn.ts`,
    find: 'return refuseRangeRevision(store, Number(step.value.revision))',
    replace:
      "return step.value.revision > 0n && step.value.revision < BigInt(store.meta.purgedRevision) ? { kind: 'compacted', revision: store.compactedRevision } : undefined",
  },
  {
    name: 'a compaction that is taken up again drops the deletion at its revision (etcd #19179)',
    file: `${MVCC}/compaction.ts`,
    find: 'for (const row of rows) removedVersions += visit(store, row, target, remembered)',
    replace:
      'for (const row of rows) removedVersions += visit(store, row, target + Number(cursor === undefined && purgedRevision >= 0), remembered)',
  },
  {
    name: 'progress is told of a watch that begins in the future (etcd #20221)',
    file: 'node-server/api/etcd/watch-stream.ts',
    find: "return watcher.state === 'synced' && watcher.startRevision <= revision",
    replace: "return watcher.state === 'synced'",
  },
  {
    name: 'a watch of the future is set back when a snapshot has replaced the store (etcd #20221)',
    file: `${NODE}/watch/watchable-store.ts`,
    find: '      watcher.nextRevision = Math.max(watcher.nextRevision, before)\n      this.#sets.place(watcher, this.#cursor)\n    }\n  }',
    replace: '      watcher.nextRevision = before\n      this.#sets.place(watcher, this.#cursor)\n    }\n  }',
  },
  {
    name: 'the answer to an earlier question lets a later read through (etcd #20418)',
    file: `${RAFT}/read-index.ts`,
    find: '  raft.nextForwardedRead += 1\n',
    replace: '',
  },
]

/** Of those that seeds do not reach, each with the test that must fail. */
export const ETCD_MUTANTS_OF_TESTS: readonly { readonly test: string; readonly mutant: Mutant }[] = [
  {
    test: 'test/recovery/interleavings.test.ts',
    mutant: {
      name: 'a second snapshot takes the place of one that is about to be installed (etcd #18055)',
      file: `${NODE}/maintenance/store-files.ts`,
      find: 'await this.#removeReceivedUpTo(this.#live.store.appliedIndex)',
      replace: 'await this.#removeReceivedUpTo((index - 1) as LogIndex)',
    },
  },
  {
    test: 'node-server/raft/read-index.test.ts',
    mutant: {
      name: 'answers to heartbeats of an earlier term confirm reads (etcd #20418)',
      file: `${RAFT}/raft.ts`,
      find: "if (message.term < raft.term && message.kind !== 'pre-vote-request') return",
      replace:
        "if (message.term < raft.term && message.kind !== 'pre-vote-request' && message.kind !== 'heartbeat-response') return",
    },
  },
]
