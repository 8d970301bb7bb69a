/** What made members slow at their limits, each with the test that must fail: nothing is wrong with what they answer. */
import type { Mutant } from './plant.ts'

const RAFT = 'node-server/raft'
const MVCC = 'node-server/mvcc'
const NODE = 'node-server/node'
const RUNS = 'node-server/storage/runs'

export const LIMITS_MUTANTS: readonly { readonly test: string; readonly mutant: Mutant }[] = [
  {
    test: `${NODE}/replica/log-cut.test.ts`,
    mutant: {
      name: 'limits: the log is cut by count alone, however large its entries are',
      file: `${NODE}/replica/log-cut.ts`,
      find: 'return sizeBytes * (1 - LEAST_SHARE) > usualSizeBytes',
      replace: 'return sizeBytes * (1 - LEAST_SHARE) > usualSizeBytes * Infinity',
    },
  },
  {
    test: `${NODE}/replica/log-cut.test.ts`,
    mutant: {
      name: 'limits: large entries are cut that a follower waits for',
      file: `${NODE}/replica/log-cut.ts`,
      find: 'Math.min(durable, ...needed.map(({ match }) => match))',
      replace: 'durable',
    },
  },
  {
    test: `${RAFT}/log.test.ts`,
    mutant: {
      name: 'limits: the size of what is cut off the log still counts',
      file: `${RAFT}/log.ts`,
      find: 'log.sizeBytes -= sizeOf(log.entries.splice(0, index - log.base.index))',
      replace: 'log.entries.splice(0, index - log.base.index)',
    },
  },
  {
    test: `${RAFT}/read-index.test.ts`,
    mutant: {
      name: 'limits: what a leader is asked before the first commit of its term is dropped',
      file: `${RAFT}/leader.ts`,
      find: 'addRead(leader, { from: message.from',
      replace: 'if (termAt(raft.log, raft.log.committed) === raft.term) addRead(leader, { from: message.from',
    },
  },
  {
    test: `${RAFT}/flow-control.test.ts`,
    mutant: {
      name: 'limits: a peer that is connected again hears of its leader at the next heartbeat only',
      file: `${RAFT}/raft.ts`,
      find: 'if (progress !== undefined) sendHeartbeat(raft, raft.role, id, progress)',
      replace: '',
    },
  },
  {
    test: `${NODE}/replica/reads.test.ts`,
    mutant: {
      name: 'limits: a question is sent where there is no way to the leader',
      file: `${NODE}/replica/reads.ts`,
      find: 'if (!isOpen) return undefined',
      replace: '',
    },
  },
  {
    test: 'node-server/warm-up/warm-start.test.ts',
    mutant: {
      name: 'limits: a member that comes back to a cluster with a leader warms up before it serves',
      file: 'node-server/warm-up/warm-start.ts',
      find: 'if (this.#warmedUp !== undefined || !isFollower) await this.begin()',
      replace: 'await this.begin()',
    },
  },
  {
    test: `${RUNS}/writer.test.ts`,
    mutant: {
      name: 'limits: in the middle of a compaction all is merged, again and again, for what is removed so far',
      file: `${RUNS}/writer.ts`,
      find: 'this.#removalsFollow = removalsFollow',
      replace: '',
    },
  },
  {
    test: `${NODE}/maintenance/purge.test.ts`,
    mutant: {
      name: 'limits: a compaction does not say that it removes more',
      file: `${MVCC}/store.ts`,
      find: 'this.buffer.commit({ removalsFollow })',
      replace: 'this.buffer.commit()',
    },
  },
  {
    test: `${NODE}/maintenance/purge.test.ts`,
    mutant: {
      name: 'limits: what a compaction has removed is given back a second later',
      file: `${MVCC}/committer.ts`,
      find: 'if (isLarge || isRemovalComplete) this.#commit()',
      replace: 'if (isLarge) this.#commit()',
    },
  },
  {
    test: `${NODE}/maintenance/purge.test.ts`,
    mutant: {
      name: 'limits: what comes while a compaction removes waits for all that a turn may remove',
      file: `${NODE}/maintenance/purge.ts`,
      find: 'if (cursor === undefined || clock.monotonicMs() >= endMs) break',
      replace: 'if (cursor === undefined) break',
    },
  },
  {
    test: `${NODE}/maintenance/purge.test.ts`,
    mutant: {
      name: 'limits: a compaction removes as fast as ever while everything else is late',
      file: `${NODE}/maintenance/purge.ts`,
      find: 'Math.min(PURGE.pauseMs + lateMs, PURGE.longestPauseMs)',
      replace: 'PURGE.pauseMs',
    },
  },
  {
    test: `${NODE}/maintenance/purge.test.ts`,
    mutant: {
      name: 'limits: a compaction waits as long as everything else is late',
      file: `${NODE}/maintenance/purge.ts`,
      find: 'Math.min(PURGE.pauseMs + lateMs, PURGE.longestPauseMs)',
      replace: 'PURGE.pauseMs + lateMs',
    },
  },
  {
    test: `${MVCC}/removed-versions.test.ts`,
    mutant: {
      name: 'limits: a version that a compaction comes by again is removed twice',
      file: `${MVCC}/removed-versions.ts`,
      find: 'else if (modRevision > (versions.at(-1) ?? 0)) versions.push(modRevision)\n    else return',
      replace: 'else versions.push(modRevision)',
    },
  },
  {
    test: `${RUNS}/writer.test.ts`,
    mutant: {
      name: 'limits: a file is synced once, when it is whole, and the log waits for all of it',
      file: `${RUNS}/step-runner.ts`,
      find: 'if (this.#unsyncedBytes >= this.#sizes.syncSizeBytes) await this.#sync(file)',
      replace: '',
    },
  },
  {
    test: `${NODE}/replica/range-reads.test.ts`,
    mutant: {
      name: 'limits: a page that begins at the next key itself counts all that is left',
      file: `${MVCC}/range-reading.ts`,
      find: 'if (near === undefined) return undefined',
      replace: 'return undefined',
    },
  },
  {
    test: `${MVCC}/range-counts.test.ts`,
    mutant: {
      name: 'limits: a count of another revision, or to another end, stands for that of a page',
      file: `${MVCC}/range-counts.ts`,
      find: 'if (kept.name === name && kept.low <= low &&',
      replace: 'if (kept.low <= low &&',
    },
  },
  {
    test: `${MVCC}/long-read.test.ts`,
    mutant: {
      name: 'limits: a long range looks for each of its key-values',
      file: `${MVCC}/long-read.ts`,
      find: 'if (end - start >= LEAST_NEIGHBOURS) yield*',
      replace: 'if (end - start > keys.length) yield*',
    },
  },
  {
    test: `${MVCC}/long-read.test.ts`,
    mutant: {
      name: 'limits: a long range takes what lies between its key-values for one of them',
      file: `${MVCC}/long-read.ts`,
      find: 'if (revision === record.modRevision && sub === record.sub) {',
      replace: 'if (revision === record.modRevision || sub === record.sub) {',
    },
  },
  {
    test: `${MVCC}/store.test.ts`,
    mutant: {
      name: 'limits: a large value is copied as it is applied',
      file: `${MVCC}/change.ts`,
      find: 'buffer.putVersion(keyText, record, value, previous)',
      replace: 'buffer.putVersion(keyText, record, Buffer.from(value), previous)',
    },
  },
  {
    test: `${MVCC}/layer.test.ts`,
    mutant: {
      name: 'limits: a version that a put supersedes is hidden by what was written to its history before',
      file: `${MVCC}/layer.ts`,
      find: 'if (history.isEmpty) {',
      replace: 'if (previous.modRevision > 0) {',
    },
  },
  {
    test: `${MVCC}/layer.test.ts`,
    mutant: {
      name: 'limits: two versions of one revision have a row each',
      file: `${MVCC}/superseded.ts`,
      find: 'newest?.record.modRevision === record.modRevision ? newest.before : newest',
      replace: 'newest',
    },
  },
  {
    test: `${NODE}/maintenance/hasher.test.ts`,
    mutant: {
      name: 'limits: a hash pauses after each slice, however short that was',
      file: `${NODE}/maintenance/hasher.ts`,
      find: 'if (whole !== undefined || this.#clock.monotonicMs() >= endMs) return whole',
      replace: 'return whole',
    },
  },
  {
    test: 'lib/number-table.test.ts',
    mutant: {
      name: 'limits: a table of calls keeps one that it does not find any more',
      file: 'lib/number-table.ts',
      find: 'if (isReached) continue',
      replace: 'if (!isReached) continue',
    },
  },
  {
    test: `${NODE}/apply/waiters.test.ts`,
    mutant: {
      name: 'limits: requests are told apart by the ends of their IDs alone',
      file: `${NODE}/apply/waiters.ts`,
      find: 'return waiter?.requestId === requestId ? waiter : undefined',
      replace: 'return waiter',
    },
  },
]
