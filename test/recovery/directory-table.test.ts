import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import { openDataDirectory, removedReason } from '../../node-server/node/lifecycle/open.ts'
import { VirtualClock } from '../../node-server/node/testing/virtual-clock.ts'
import { readIdentity } from '../../node-server/storage/data-directory.ts'
import { KEEP_ALL, MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import { realVolume, type Volume } from '../../node-server/storage/volume.ts'
import { simulatedVolume, States } from '../simulation/volume.ts'
import { boot } from './after-crash.ts'
import { RULES, type Decision } from './directory-oracle.ts'
import {
  BASE,
  COMMIT,
  DirectoryParts,
  HARD_STATES,
  IDENTITIES,
  LAST_IN_LOG,
  LEFT_OVERS,
  SNAPSHOTS_RECEIVED,
  SOUND,
  STORES,
  WALS,
  writeFile,
  type Combination,
} from './directory-parts.ts'
import { computeHistory, LAST, writeStores, type History } from './history.ts'
import { catchUp } from './catch-up.ts'
import { DATA, MemberProcess, nodeOptions } from './member-process.ts'
import { nothingPromised } from './promises.ts'

const OPTIONS = nodeOptions(new VirtualClock())
const STORES_AT = [10, 20, 22, 25, 33, 40]

/** The hard state is looked at only in a log that is this member's: with another identity it is always the same. */
function* allCombinations(): Generator<Combination> {
  for (const identity of IDENTITIES)
    for (const leftOver of LEFT_OVERS)
      for (const wal of WALS)
        for (const hardState of identity === 'present' ? HARD_STATES : HARD_STATES.slice(0, 1))
          for (const store of STORES)
            for (const snapshot of SNAPSHOTS_RECEIVED) yield { identity, leftOver, wal, hardState, store, snapshot }
}

/** The sound directory with one part changed, and every pair of a log, a store and a received snapshot. */
function* someCombinations(): Generator<Combination> {
  for (const identity of IDENTITIES) for (const leftOver of LEFT_OVERS) yield { ...SOUND, identity, leftOver }
  for (const hardState of HARD_STATES.slice(1)) yield { ...SOUND, hardState }
  for (const wal of WALS.slice(1)) for (const store of STORES) yield { ...SOUND, wal, store }
  for (const store of STORES.slice(1)) for (const snapshot of SNAPSHOTS_RECEIVED) yield { ...SOUND, store, snapshot }
}

interface Taken {
  readonly decision: Decision
  readonly words: string
}

/** Opens the directory as a start does, and looks at what runs. */
async function open(volume: Volume, directory: string, history: History): Promise<Taken> {
  const identity = await readIdentity(volume.disk, directory)
  if (!identity.ok) return { decision: 'refuses', words: identity.error }
  if (identity.value === undefined) return { decision: 'waits', words: '' }
  if (identity.value.isRemoved) return { decision: 'refuses', words: removedReason(directory) }
  const opened = await openDataDirectory(volume, directory, identity.value, OPTIONS)
  if (!opened.ok) return { decision: 'refuses', words: opened.error }
  const { store, raft, wal, damage } = opened.value
  const { log } = raft
  assert.equal(log.base.index + log.entries.length, LAST_IN_LOG)
  if (damage !== undefined) {
    assert.deepEqual([log.base.index, log.applied, store.appliedIndex], [BASE, BASE, 0])
    await wal.close()
    return { decision: 'runs without its store', words: '' }
  }
  assert.ok(store.appliedIndex >= BASE && store.appliedIndex <= log.committed && log.committed <= LAST_IN_LOG)
  assert.ok(log.committed >= Math.min(COMMIT, Math.max(store.appliedIndex, BASE + 1)))
  const names = await volume.disk.list(join(directory, 'member/db'))
  const isSnapshot =
    names.some((name) => name === `store-${BASE}` || name.startsWith(`store-${BASE}.`)) && store.appliedIndex === BASE
  if (isSnapshot) assert.equal(hashState(store), history.hashes.get(BASE))
  await wal.close()
  await store.close()
  return { decision: isSnapshot ? 'installs the snapshot' : 'runs', words: '' }
}

/** Against the first rule that applies; gives the rule's number. */
function compare(found: Combination, { decision, words }: Taken): number {
  const at = RULES.findIndex(({ when }) => when(found))
  const rule = RULES[at]
  assert.ok(rule !== undefined)
  assert.equal(decision, rule.decision, `${JSON.stringify(found)}: ${words}`)
  if (rule.words !== undefined) assert.match(words, rule.words, JSON.stringify(found))
  return at
}

function summary(counts: ReadonlyMap<number, number>): string {
  const byDecision = new Map<Decision, number>()
  for (const [at, count] of counts) {
    const { decision = 'runs' } = RULES[at] ?? {}
    byDecision.set(decision, (byDecision.get(decision) ?? 0) + count)
  }
  return [...byDecision].map(([decision, count]) => `${decision} ${count}`).join(', ')
}

test('every combination of what can be in a data directory has the decision of the table, in its words', async (t) => {
  const states = new States()
  const history = await computeHistory(states)
  const scratch = new MemoryDisk()
  const scratchVolume = simulatedVolume(scratch, scratch, states, () => 1n)
  const parts = await DirectoryParts.make(scratchVolume, '/scratch', history.stores)
  const counts = new Map<number, number>()
  const begin = performance.now()
  for (const found of allCombinations()) {
    const disk = await memoryDirectory(parts, found)
    const { operations } = disk
    const taken = await open(
      simulatedVolume(disk, disk, states, () => 1n),
      DATA,
      history,
    )
    if (taken.decision === 'refuses') assert.equal(disk.operations, operations, 'a refused directory stays as it is')
    const at = compare(found, taken)
    counts.set(at, (counts.get(at) ?? 0) + 1)
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  t.diagnostic(`${total} combinations in ${Math.round(performance.now() - begin)} ms: ${summary(counts)}`)
  assert.equal(counts.size, RULES.length, 'every rule decides something')
})

async function memoryDirectory(parts: DirectoryParts, found: Combination): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  for (const [name, bytes] of parts.files(found)) await writeFile(disk, `${DATA}/${name}`, bytes)
  return disk
}

test('what runs goes on to the end of the history, and has the state that the others have', async () => {
  const states = new States()
  const history = await computeHistory(states)
  const scratch = new MemoryDisk()
  const parts = await DirectoryParts.make(
    simulatedVolume(scratch, scratch, states, () => 1n),
    '/scratch',
    history.stores,
  )
  let running = 0
  for (const found of someCombinations()) {
    const rule = RULES.find(({ when }) => when(found))
    if (rule?.decision !== 'runs' && rule?.decision !== 'installs the snapshot') continue
    const disk = (await memoryDirectory(parts, found)).crash(KEEP_ALL)
    const process = new MemberProcess({ disk, states }, nothingPromised())
    assert.deepEqual(await boot(process), { found: 'a member' }, JSON.stringify(found))
    await catchUp(process, history)
    assert.equal(hashState(process.node.store), history.hashes.get(LAST))
    process.disk.kill()
    running += 1
  }
  assert.ok(running > 20, `${running} directories`)
})

test('the same with real files: the log, the store and the identity', async (t) => {
  const states = new States()
  const history = await computeHistory(states)
  const root = await mkdtemp(join(tmpdir(), 'raftkv-table-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  const volume: Volume = { ...realVolume, walSizes: { segmentSizeBytes: 1 << 20, preparedSizeBytes: 4096 } }
  const stores = await writeStores(volume, join(root, 'stores'), STORES_AT)
  const parts = await DirectoryParts.make(volume, join(root, 'parts'), stores)
  const counts = new Map<number, number>()
  for (const found of someCombinations()) {
    const directory = join(root, 'data')
    for (const [name, bytes] of parts.files(found)) await writeFile(volume.disk, join(directory, name), bytes)
    const at = compare(found, await open(volume, directory, history))
    counts.set(at, (counts.get(at) ?? 0) + 1)
    await rm(directory, { recursive: true, force: true })
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  t.diagnostic(`${total} directories: ${summary(counts)}`)
  assert.ok(total > 100)
})
