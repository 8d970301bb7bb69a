import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDataDirectory } from '../../node-server/node/lifecycle/open.ts'
import { VirtualClock } from '../../node-server/node/testing/virtual-clock.ts'
import { readIdentity } from '../../node-server/storage/data-directory.ts'
import { encodeBatch, readBatch } from '../../node-server/storage/record.ts'
import { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import { replay } from '../../node-server/storage/wal-replay.ts'
import { simulatedVolume, States } from '../simulation/volume.ts'
import { DirectoryParts, flipped, SOUND, writeFile, type Files } from './directory-parts.ts'
import { computeHistory, entryAt, REMOVAL } from './history.ts'
import { DATA, nodeOptions, PATHS } from './member-process.ts'

const WAL = 'member/wal/0000000000000001.wal'
const IDENTITY = 'member/identity.json'
const OPTIONS = nodeOptions(new VirtualClock())

async function soundFiles(states: States): Promise<Files> {
  const history = await computeHistory(states)
  const scratch = new MemoryDisk()
  const volume = simulatedVolume(scratch, scratch, states, () => 1n)
  return (await DirectoryParts.make(volume, '/scratch', history.stores)).files(SOUND)
}

async function diskWith(files: Files, name: string, bytes: Buffer): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  for (const [path, content] of files) await writeFile(disk, `${DATA}/${path}`, path === name ? bytes : content)
  return disk
}

test('no bit of a log can change unseen, in a record of any kind', async (t) => {
  const files = await soundFiles(new States())
  const sound = files.get(WAL) ?? Buffer.alloc(0)
  const end = sound.lastIndexOf(0xff) + 1
  // The last batch is one with a change of the members, which is a kind of entry of its own.
  const log = Buffer.concat([sound.subarray(0, end), ...encodeBatch(12, [{ kind: 'entry', entry: entryAt(REMOVAL) }])])
  const kinds = new Set<string>()
  let flips = 0
  for (let offset = 0; offset < log.length;) {
    const batch = readBatch(log, offset)
    assert.ok(batch.kind === 'batch')
    for (const record of batch.records) kinds.add(record.kind === 'entry' ? record.entry.kind : record.kind)
    for (let at = offset; at < batch.endOffset; at++) {
      const disk = new MemoryDisk()
      await writeFile(disk, `/wal/${WAL.slice('member/wal/'.length)}`, flipped(log, at, at % 8))
      const found = await replay(disk, '/wal')
      assert.ok(!found.ok, `bit ${at % 8} of byte ${at} changed, and nobody saw it`)
      assert.match(found.error, /the log is damaged in .*remove the member from the cluster and add it again/)
      flips += 1
    }
    offset = batch.endOffset
  }
  t.diagnostic(`${flips} flipped bits in records of the kinds ${[...kinds].toSorted().join(', ')}`)
  assert.deepEqual([...kinds].toSorted(), ['base', 'config', 'hard-state', 'identity', 'normal'])
})

test('a changed identity file is refused, unless only the name has changed', async (t) => {
  const states = new States()
  const files = await soundFiles(states)
  const sound = files.get(IDENTITY) ?? Buffer.alloc(0)
  const outcomes = { unreadable: 0, 'of another': 0, 'same IDs': 0 }
  for (let at = 0; at < sound.length; at++)
    for (let bit = 0; bit < 8; bit++) {
      const disk = await diskWith(files, IDENTITY, flipped(sound, at, bit))
      const identity = await readIdentity(disk, DATA)
      if (!identity.ok) {
        assert.match(identity.error, /cannot be read .*restore the file, or remove the member/)
        outcomes.unreadable += 1
        continue
      }
      assert.ok(identity.value !== undefined && !identity.value.isRemoved)
      const volume = simulatedVolume(disk, disk, states, () => 1n)
      const opened = await openDataDirectory(volume, DATA, identity.value, OPTIONS)
      const { clusterId, memberId, incarnation } = identity.value
      const isSame = clusterId === 0xc1n && memberId === 1n && incarnation === 0x77n
      assert.equal(opened.ok, isSame, `bit ${bit} of byte ${at}`)
      outcomes[isSame ? 'same IDs' : 'of another'] += 1
    }
  t.diagnostic(JSON.stringify(outcomes))
  assert.ok(Object.values(outcomes).every((count) => count > 0))
})

test('a received snapshot of which a bit changed is never installed', async () => {
  const states = new States()
  const history = await computeHistory(states)
  const scratch = new MemoryDisk()
  const volume = simulatedVolume(scratch, scratch, states, () => 1n)
  const parts = await DirectoryParts.make(volume, '/scratch', history.stores)
  const files = parts.files({ ...SOUND, store: 'missing', snapshot: 'whole' })
  const name = 'member/db/received-20'
  const whole = files.get(name) ?? Buffer.alloc(0)
  for (let at = 0; at < whole.length; at++) {
    const disk = await diskWith(files, name, flipped(whole, at, at % 8))
    const identity = await readIdentity(disk, DATA)
    assert.ok(identity.ok && identity.value !== undefined)
    const opened = await openDataDirectory(
      simulatedVolume(disk, disk, states, () => 1n),
      DATA,
      identity.value,
      OPTIONS,
    )
    assert.ok(!opened.ok)
    assert.match(opened.error, /the store is missing, and the log begins only behind entry 20/)
    assert.ok((await disk.list(PATHS.db)).includes('received-20'), 'it stays as it is')
  }
})
