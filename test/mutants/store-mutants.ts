/** Bugs that stores of this kind have had, or could have, each in one place of ours. */
import type { Mutant } from './plant.ts'

const RAFT = 'node-server/raft'
const MVCC = 'node-server/mvcc'
const NODE = 'node-server/node'
const STORAGE = 'node-server/storage'
const TRANSPORT = 'node-server/transport'
const API = 'node-server/api/etcd'

export const STORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'a vote is not persisted',
    file: `${STORAGE}/wal.ts`,
    find: 'if (!mustSync && entries.length === 0) return Promise.resolve()',
    replace: 'if (entries.length === 0) return Promise.resolve()',
  },
  {
    name: 'acknowledged before the fsync',
    file: `${NODE}/replica/pipeline.ts`,
    find: 'await this.#actions.persist(append.hardState, append.entries, append.mustSync)\n    this.#actions.send(append.promises)',
    replace:
      'this.#actions.send(append.promises)\n    await this.#actions.persist(append.hardState, append.entries, append.mustSync)',
  },
  {
    name: 'an acknowledgement does not wait for the fsync under way',
    file: `${RAFT}/ready.ts`,
    find: 'const append = raft.appendOut === undefined ? takeAppend(raft) : undefined',
    replace:
      'const append = raft.appendOut === undefined ? takeAppend(raft) : undefined\n  raft.messages.push(...raft.promises.splice(0))',
  },
  {
    name: 'what comes in during an fsync counts as written by it',
    file: `${RAFT}/ready.ts`,
    find: 'log.durableTo = LogIndex(log.unstableFrom - 1)',
    replace: 'log.durableTo = lastIndex(log)',
  },
  {
    name: 'what is overwritten during its fsync is not written again',
    file: `${RAFT}/log.ts`,
    find: 'if (conflict.index < log.unstableFrom) log.unstableFrom = conflict.index',
    replace: '',
  },
  {
    name: 'entries are applied before they are durable here',
    file: `${RAFT}/ready.ts`,
    find: 'const to = LogIndex(Math.min(log.committed, log.durableTo))',
    replace: 'const to = log.committed',
  },
  {
    name: 'the log is never synced',
    file: `${STORAGE}/wal.ts`,
    find: 'await this.#file.sync(mayPause && zeros.length === 0 && this.#pace.isQuick)',
    replace: '',
  },
  {
    name: "an old term's entry is committed by counting",
    file: `${RAFT}/leader.ts`,
    find: 'if (termAt(raft.log, index) !== raft.term) return false',
    replace: '',
  },
  {
    name: 'the own entries of the leader count before they are durable',
    file: `${RAFT}/become.ts`,
    find: '  append(raft.log, entries)\n  leader.isBroadcastDue = true',
    replace:
      '  append(raft.log, entries)\n  const own = leader.progress.get(raft.options.id)\n  if (own !== undefined) own.match = index\n  leader.isBroadcastDue = true',
  },
  {
    name: 'learners count in the quorum',
    file: `${RAFT}/quorum.ts`,
    find: 'const incoming = majorityValue(configuration.voters, valueOf)',
    replace: 'const incoming = majorityValue([...configuration.voters, ...configuration.learners], valueOf)',
  },
  {
    name: 'one less than a majority is enough',
    file: `${RAFT}/quorum.ts`,
    find: 'const value = ascending[voters.length - (Math.floor(voters.length / 2) + 1)]',
    replace: 'const value = ascending[voters.length - Math.max(1, Math.floor(voters.length / 2))]',
  },
  {
    name: 'a joint configuration needs one majority only',
    file: `${RAFT}/quorum.ts`,
    find: 'return Math.min(incoming, majorityValue(configuration.votersOutgoing, valueOf))',
    replace: 'return incoming',
  },
  {
    name: 'two votes in one term',
    file: `${RAFT}/raft.ts`,
    find: 'raft.vote === message.from || (raft.vote === NOBODY && leaderOf(raft) === NOBODY)',
    replace: 'true',
  },
  {
    name: 'a vote for a log that is behind',
    file: `${RAFT}/log.ts`,
    find: 'return term > ownTerm || (term === ownTerm && index >= lastIndex(log))',
    replace: 'return term >= ownTerm',
  },
  {
    name: 'entries are taken without a look at what stands before them',
    file: `${RAFT}/follow.ts`,
    find: 'if (termAt(log, message.prevIndex) !== message.prevTerm) return reject(raft, message)',
    replace: 'if (termAt(log, message.prevIndex) === undefined) return reject(raft, message)',
  },
  {
    name: 'ReadIndex before the first commit of the term',
    file: `${RAFT}/read-index.ts`,
    find: ' && termAt(raft.log, raft.log.committed) === raft.term',
    replace: '',
  },
  {
    name: 'reads are confirmed by the leader alone',
    file: `${RAFT}/read-index.ts`,
    find: 'if (batch.number > confirmed) break',
    replace: 'if (batch.number > leader.lastReadBatch) break',
  },
  {
    name: 'a read is answered before its index is applied',
    file: `${NODE}/replica/reads.ts`,
    find: 'if (batch.index > index) break',
    replace: '',
  },
  {
    name: 'entries are applied twice after a restart',
    file: `${MVCC}/store.ts`,
    find: "this.buffer.put('meta', META_KEY, encodeMeta(meta))",
    replace:
      "this.buffer.put('meta', META_KEY, encodeMeta({ ...meta, appliedIndex: Math.max(1, meta.appliedIndex - 1) as LogIndex }))",
  },
  {
    name: 'the log is cut at what is applied, not at what the store has on disk',
    file: `${NODE}/replica/replica.ts`,
    find: 'durable: this.store.committedIndex',
    replace: 'durable: this.store.appliedIndex',
  },
  {
    name: 'a snapshot without its configuration',
    file: `${RAFT}/follow.ts`,
    find: '  raft.configuration = snapshot.configuration\n  raft.configIndex = snapshot.configIndex\n',
    replace: '',
  },
  {
    name: 'results of operations are lost in snapshots and at restarts',
    file: `${MVCC}/write-buffer.ts`,
    find: 'await this.#backend.commit(writesOf(layers, removed), options)',
    replace:
      "await this.#backend.commit([...writesOf(layers, removed)].filter(({ table }) => table !== 'operations'), options)",
  },
  {
    name: 'the fence of who asks for a change is not looked at',
    file: `${NODE}/membership/change-members.ts`,
    find: 'return request.expectedConfigIndex === undefined ? undefined : LogIndex(request.expectedConfigIndex)',
    replace: 'return undefined',
  },
  {
    name: 'a joining member serves at once',
    file: `${NODE}/lifecycle/admission.ts`,
    find: 'const admitted = await mayServe(member)',
    replace: "const admitted = hasServed(member) ? await mayServe(member) : 'led'",
  },
  {
    name: 'a joining member serves when no leader answers',
    file: `${NODE}/lifecycle/admission.ts`,
    find: 'isReplayed && hasServed(member) && ',
    replace: 'isReplayed && ',
  },
  {
    name: 'a restarted member serves before it has replayed',
    file: `${NODE}/lifecycle/admission.ts`,
    find: 'const admitted = await mayServe(member)',
    replace: "const admitted = hasServed(member) ? 'alone' : await mayServe(member)",
  },
  {
    name: 'a lease ends before its time',
    file: `${NODE}/lease/lessor.ts`,
    find: 'const deadlineMs = fromMs + longEnough * 1000',
    replace: 'const deadlineMs = fromMs + longEnough * 600',
  },
  {
    name: 'a new leader does not extend the leases',
    file: `${NODE}/lease/lessor.ts`,
    find: 'fromMs: nowMs + this.#parts.electionMs, after: undefined }',
    replace: 'fromMs: nowMs - 3000, after: undefined }',
  },
  {
    name: 'a leader that leads again goes on with its old deadlines',
    file: `${NODE}/lease/lessor.ts`,
    find: '    this.#leases = new Map()\n    this.#heap = []\n',
    replace: '',
  },
  {
    name: 'leases never end',
    file: `${NODE}/lease/lessor.ts`,
    find: 'void this.#revoke(lease.id, term)',
    replace: '',
  },
  {
    name: 'keys outlive their lease',
    file: `${MVCC}/change.ts`,
    find: 'for (const { key, value } of recordsOf(store, keys)) deleteKey(store, change, key, value, undefined)',
    replace: '',
  },
  {
    name: 'a put does not take the key from its lease before',
    file: `${MVCC}/lease.ts`,
    find: "  if (from !== 0n) store.buffer.remove('leaseKeys', leaseKey(from, key))\n",
    replace: '',
  },
  {
    name: 'a comparison is the other way round',
    file: `${MVCC}/txn.ts`,
    find: 'return order === 0',
    replace: 'return order >= 0',
  },
  {
    name: 'a delete of nothing makes a revision',
    file: `${MVCC}/change.ts`,
    find: 'if (change.steps > 0) store.advanceRevision(change.revision)',
    replace: 'store.advanceRevision(change.revision)',
  },
  {
    name: 'a delete goes through its keys in the wrong order',
    file: `${MVCC}/change.ts`,
    find: 'for (const { key, value } of slice.entries) {',
    replace: 'for (const { key, value } of slice.entries.toReversed()) {',
  },
  {
    name: 'keys of a lease go in the wrong order',
    file: `${MVCC}/change.ts`,
    find: 'of recordsOf(store, keys))',
    replace: 'of [...recordsOf(store, keys)].toReversed())',
  },
  {
    name: 'half of a long entry is read',
    file: `${MVCC}/apply.ts`,
    find: '      buffer.suspendDraft()\n',
    replace: '',
  },
  {
    name: 'half of a long entry is committed',
    file: `${MVCC}/write-buffer.ts`,
    find: 'const layers = this.#current\n',
    replace:
      'const layers = this.#draft === undefined ? this.#current : [...this.#current, this.#draft.deleted, this.#draft.rows]\n',
  },
  {
    name: 'a key is left out where a slice of an entry ends',
    file: `${MVCC}/change.ts`,
    find: 'for (const { key, value } of slice.entries) {',
    replace: 'for (const { key, value } of slice.next === undefined ? slice.entries : slice.entries.slice(1)) {',
  },
  {
    name: 'a compaction removes what is still to be seen',
    file: `${MVCC}/compaction.ts`,
    find: 'readRows(store, next, revisionKey(target + 1, 0))',
    replace: 'readRows(store, next, revisionKey(target + 2, 0))',
  },
  {
    name: 'a tombstone goes before what it hides',
    file: `${MVCC}/compaction.ts`,
    find: 'const isBeforeGone = hiddenSubOf(record) !== undefined',
    replace: 'const isBeforeGone = true',
  },
  {
    name: 'a watch goes on one revision too late',
    file: `${NODE}/watch/watchable-store.ts`,
    find: 'watcher.nextRevision = Math.max(watcher.nextRevision, cohort.nextRevision ?? 0)',
    replace: 'watcher.nextRevision = Math.max(watcher.nextRevision, (cohort.nextRevision ?? 0) + 1)',
  },
  {
    name: 'who has caught up is synced from where the others are by then',
    file: `${NODE}/watch/watchable-store.ts`,
    find: 'watcher.nextRevision = Math.max(watcher.nextRevision, cohort.nextRevision ?? 0)',
    replace: 'watcher.nextRevision = Math.max(watcher.nextRevision, this.#cursor)',
  },
  {
    name: 'a watch below the compaction goes on in silence',
    file: `${NODE}/watch/watchable-store.ts`,
    find: '} else if (watcher.nextRevision < compactRevision) {',
    replace: '} else if (watcher.nextRevision < 0) {',
  },
  {
    name: 'a page of events ends the revision that it is in',
    file: `${NODE}/watch/gathering.ts`,
    find: 'return next.revision === this.#lastRevision && events.length > 0 ? undefined : next.revision',
    replace: 'return next.revision + (next.sub > 0 ? 1 : 0)',
  },
  {
    name: 'a victim gets its events again',
    file: `${NODE}/watch/watchable-store.ts`,
    find: 'watcher.nextRevision = Math.max(watcher.nextRevision, fromRevision)',
    replace: 'watcher.nextRevision = Math.max(1, fromRevision - 3)',
  },
  {
    name: 'the headers of a stream go back to what a watch is told of',
    file: `${API}/watch-stream.ts`,
    find: 'this.#parts.headers.at(this.#noEarlier(revision))',
    replace: 'this.#parts.headers.at(revision)',
  },
  {
    name: 'an event that is encoded for one watch goes to the others with its watch ID',
    file: `${API}/watch-message.ts`,
    find: 'const whole = events.encodedBy(encodeFields)\n  if (head.length + whole.length < maxBytes || events.length < 2) return [[head, whole]]',
    replace:
      'const whole = events.encodedBy((all) => Buffer.concat([head, encodeFields(all)]))\n  if (whole.length < maxBytes || events.length < 2) return [[whole]]',
  },
  {
    name: 'events that were told together once are told together again',
    file: `${NODE}/watch/event-list.ts`,
    find: 'if (this.#longer?.last !== event)',
    replace: 'if (this.#longer === undefined)',
  },
  {
    name: 'a received snapshot is not durable when it is accepted',
    file: `${NODE}/maintenance/store-files.ts`,
    find: 'await volume.disk.rename(path, receivedPath(paths, index))\n        await volume.disk.syncDirectory(paths.db)',
    replace: 'await volume.disk.rename(path, receivedPath(paths, index))',
  },
  {
    name: 'the store that is live by then is deleted for the one that a snapshot has replaced',
    file: `${NODE}/maintenance/store-files.ts`,
    find: 'await volume.disk.remove(storePath(paths, before.name))',
    replace: 'await volume.disk.remove(storePath(paths, this.#live.name))',
  },
  {
    name: 'that a store is damaged is ignored',
    file: `${NODE}/replica/store-damage.ts`,
    find: '    storeLost(raft)\n    if (this.#isAlone)',
    replace: '    if (this.#isAlone)',
  },
  {
    name: 'entries are applied to what stands in for a damaged store',
    file: `${NODE}/replica/store-damage.ts`,
    find: 'if (parts.damage !== undefined) storeLost(parts.raft)',
    replace: '',
  },
  {
    name: 'a member whose store is damaged answers from what it has in its place',
    file: `${API}/method.ts`,
    find: 'if (damage !== undefined) return damagedStatus(damage)',
    replace: '',
  },
  {
    name: 'a member whose store is damaged asks for no other',
    file: `${RAFT}/follow.ts`,
    find: 'return isStoreLost && pendingSnapshot === undefined',
    replace: 'return isStoreLost && pendingSnapshot !== undefined',
  },
  {
    name: 'the log goes with the store that is lost',
    file: `${RAFT}/follow.ts`,
    find: 'if (isInLog) continueBehind(log, snapshot.index)\n    else resetTo(log, snapshot.index, snapshot.term)',
    replace: 'resetTo(log, snapshot.index, snapshot.term)',
  },
  {
    name: 'segments of the log go from the newest on',
    file: `${STORAGE}/wal.ts`,
    find: 'oldest.lastIndex <= index;',
    replace: 'oldest.lastIndex <= index + 40;',
  },
  {
    name: 'a timed-out proposal is made again',
    file: `${NODE}/replica/proposals.ts`,
    find: '      this.#propose(raft, batch)\n',
    replace: '      this.#propose(raft, batch)\n      if (batch.length > 1) this.#propose(raft, batch.slice(1))\n',
  },
  {
    name: 'a write that was lost with its leader is said never to have been proposed',
    file: `${NODE}/replica/proposals.ts`,
    find: 'if (!isProposed && links.leader === NOBODY)',
    replace: 'if (links.leader === NOBODY)',
  },
  {
    name: 'all that waits for a peer goes into one frame',
    file: `${TRANSPORT}/outbox.ts`,
    find: 'if (nextBytes > this.#frameSizeBytes && batch.length > 0) break',
    replace: '',
  },
  {
    name: 'a proposal beyond the backlog is dropped',
    file: `${TRANSPORT}/outbox.ts`,
    find: "if (this.isFull && message.kind !== 'propose-request') return false",
    replace: "if (this.isFull || (message.kind === 'propose-request' && this.#bulk.length > 0)) return false",
  },
  {
    name: 'proposals are forwarded without a look at the room',
    file: `${NODE}/replica/proposals.ts`,
    find: 'while (this.#hasRoom) {',
    replace: 'for (;;) {',
  },
  {
    name: 'a full pipeline that was lost stays full',
    file: `${RAFT}/replication.ts`,
    find: "if (!hasRoom && !(mustSend && progress.state === 'replicate')) return",
    replace: 'if (!hasRoom) return',
  },
  {
    name: 'a range read in slices shows in each what is current',
    file: `${MVCC}/range.ts`,
    find: '(revision < store.revision ? revision : undefined)',
    replace: 'undefined',
  },
]
