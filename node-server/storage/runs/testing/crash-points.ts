/**
 * A store's whole life in one deed: it is made, takes commits, is merged and defragmented, lets go of files, is pinned and
 * becomes another one by its archive. It is stopped at each operation of its disk in turn; whatever of the unsynced the crash
 * then leaves, the next start must find exactly one commit, the last acknowledged one or one after it.
 */
import { strict as assert } from 'node:assert'
import { TABLES, type Table, type Write } from '../../../mvcc/backend.ts'
import { encodeMeta, META_KEY, NEW_STORE_META, readMeta } from '../../../mvcc/meta.ts'
import { LogIndex } from '../../../../lib/ids.ts'
import { seeded } from '../../../raft/testing/random.ts'
import { KEEP_ALL, KEEP_NOTHING, MemoryDisk, type Choose, type Fault } from '../../testing/memory-disk.ts'
import { receiveArchive } from '../archive.ts'
import { RunsBackend } from '../runs-backend.ts'
import { localWriter } from '../writer-link.ts'
import { SMALL_SIZES } from './small-sizes.ts'

const DIRECTORY = '/data/store'
const COPY = '/data/copy'
const COMMITS = 10
const PINNED_AT = 5
const DEFRAGMENTED_AT = 8
const TOUCHED: readonly Table[] = ['revisions', 'current', 'history']
const KEYS = 30

type State = ReadonlyMap<string, string>

interface Story {
  readonly writes: readonly (readonly Write[])[]
  /** What is there after so many commits. */
  readonly states: readonly State[]
}

export const STORY: Story = tell()

function tell(): Story {
  const random = seeded(14)
  const writes: Write[][] = []
  const states: State[] = [new Map()]
  for (let commit = 1; commit <= COMMITS; commit++) {
    const of = Array.from({ length: 25 }, (): Write => {
      const key = Buffer.from(`key ${random.below(KEYS)}`)
      const value = random.chance(0.3) ? undefined : Buffer.alloc(40 + random.below(120), `${commit} `)
      return { table: random.pick(TOUCHED) ?? 'current', key, value }
    })
    of.push({ table: 'meta', key: META_KEY, value: encodeMeta({ ...NEW_STORE_META, appliedIndex: LogIndex(commit) }) })
    writes.push(of)
    const state = new Map(states.at(-1))
    for (const { table, key, value } of of) {
      const name = nameOf(table, key)
      if (value === undefined) state.delete(name)
      else state.set(name, Buffer.from(value).toString('latin1'))
    }
    states.push(state)
  }
  return { writes, states }
}

function nameOf(table: Table, key: Uint8Array): string {
  return `${table} ${Buffer.from(key).toString('latin1')}`
}

/** What the process knew when it stopped. */
interface Promised {
  acknowledged: number
  attempted: number
  copied: boolean
}

/** Until something fails; what that is, or undefined. Each commit waits for nothing but the one before it. */
async function live(disk: MemoryDisk, told: Promised): Promise<unknown> {
  let store: RunsBackend | undefined
  try {
    await disk.makeDirectory('/data')
    await disk.syncDirectory('/')
    store = await RunsBackend.open(disk, DIRECTORY, localWriter(disk, SMALL_SIZES), SMALL_SIZES)
    for (const writes of STORY.writes) {
      const number = ++told.attempted
      await store.commit(writes)
      told.acknowledged = number
      assertIs(store, number)
      if (number === PINNED_AT) await copy(store, disk)
      told.copied ||= number === PINNED_AT
      if (number === DEFRAGMENTED_AT) await store.defragment()
      await settled(disk)
    }
    await store.close()
    return undefined
  } catch (error) {
    await store?.close().catch(() => undefined)
    return error
  }
}

/** What the writer does by itself, merges and removals, is done as well. */
async function settled(disk: MemoryDisk): Promise<void> {
  let before = -1
  for (let quiet = 0; quiet < 50; quiet++) {
    if (disk.operations !== before) quiet = 0
    before = disk.operations
    await Promise.resolve()
  }
}

async function copy(store: RunsBackend, disk: MemoryDisk): Promise<void> {
  const pinned = await store.pin()
  await receiveArchive(disk, COPY, pinned.read())
  await pinned.release()
}

function contentOf(store: RunsBackend): State {
  const content = new Map<string, string>()
  for (const table of TABLES) {
    for (const { key, value } of store.scan(table, Buffer.of(0), undefined)) {
      content.set(nameOf(table, key), Buffer.from(value).toString('latin1'))
    }
  }
  return content
}

function assertIs(store: RunsBackend, commit: number): void {
  const expected = STORY.states[commit] ?? new Map<string, string>()
  const found = contentOf(store)
  assert.deepEqual(found, expected, `it is not what commit ${commit} made of it`)
  for (const table of TOUCHED) {
    let count = 0
    for (let number = 0; number < KEYS; number++) {
      const key = Buffer.from(`key ${number}`)
      const value = store.get(table, key)
      assert.equal(
        value === undefined ? undefined : Buffer.from(value).toString('latin1'),
        expected.get(nameOf(table, key)),
      )
      if (value !== undefined) count++
    }
    assert.equal(store.count(table, Buffer.of(0), undefined), count)
  }
}

/** The next start: opens, is one of the commits, takes the next one, and opens again with it. */
async function recover(disk: MemoryDisk, told: Promised): Promise<void> {
  const open = (): Promise<RunsBackend> =>
    RunsBackend.open(disk, DIRECTORY, localWriter(disk, SMALL_SIZES), SMALL_SIZES)
  await disk.makeDirectory('/data')
  const store = await open()
  const found: number = readMeta(store).appliedIndex
  assert.ok(
    found >= told.acknowledged && found <= told.attempted,
    `${told.acknowledged} was acknowledged, ${found} is found`,
  )
  assertIs(store, found)
  const next = STORY.writes[found]
  if (next !== undefined) await store.commit(next)
  await store.close()
  const again = await open()
  assertIs(again, next === undefined ? found : found + 1)
  await again.close()
  await checkCopy(disk, told)
}

/** It is there as a whole, or not at all. */
async function checkCopy(disk: MemoryDisk, { copied }: Promised): Promise<void> {
  const isThere = (await disk.list('/data')).includes('copy')
  assert.ok(isThere || !copied, 'the copy is gone')
  if (!isThere) return
  const store = await RunsBackend.openReadOnly(disk, COPY, SMALL_SIZES)
  assertIs(store, PINNED_AT)
  await store.close()
}

export interface CrashPoints {
  /** How many operations the whole story takes. */
  readonly operations: number
  readonly journal: readonly string[]
}

export async function liveUndisturbed(): Promise<CrashPoints> {
  const disk = new MemoryDisk()
  const told: Promised = { acknowledged: 0, attempted: 0, copied: false }
  const failure = await live(disk, told)
  assert.equal(failure, undefined)
  await recover(disk.survivor(KEEP_NOTHING), told)
  return { operations: disk.operations, journal: disk.journal }
}

/** Throws when a start after it does not find what it must, whatever the crash left; some of that is chosen at random. */
export async function strike(fault: Fault, randomCrashes: number): Promise<void> {
  const disk = new MemoryDisk()
  disk.fault = fault
  const told: Promised = { acknowledged: 0, attempted: 0, copied: false }
  await live(disk, told)
  const struck = disk.journal[fault.atOperation - 1] ?? 'nothing'
  const choices: Choose[] = fault.kind === 'crash' ? [KEEP_NOTHING] : [KEEP_NOTHING, KEEP_ALL]
  for (let i = 0; i < randomCrashes; i++) choices.push(seeded(fault.atOperation * 1000 + i).below)
  for (const [i, choose] of choices.entries()) {
    try {
      await recover(disk.survivor(choose), told)
    } catch (error) {
      throw new Error(`${fault.kind} at operation ${fault.atOperation} (${struck}), crash ${i}`, { cause: error })
    }
  }
}
