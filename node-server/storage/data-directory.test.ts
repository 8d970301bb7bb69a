import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterId, MemberId } from '../../lib/ids.ts'
import { createMember, markRemoved, memberPaths, noteFormat, readIdentity, type MemberPaths } from './data-directory.ts'
import type { Disk } from './disk.ts'
import { KEEP_ALL, KEEP_NOTHING, MemoryDisk } from './testing/memory-disk.ts'

const DATA = '/data'
const member = {
  clusterId: ClusterId(0xc1n),
  memberId: MemberId(0xfedcba9876543210n),
  name: 'kv-0',
  incarnation: 0x1234n,
}

/** What a caller does: a durable file in the store's folder. */
const fill =
  (disk: Disk) =>
  async (paths: MemberPaths): Promise<void> => {
    const file = await disk.open(`${paths.db}/file`, { create: true })
    await file.write(Buffer.from('content'), 0)
    await file.sync()
    await disk.syncDirectory(paths.db)
  }

test('an empty directory has no member, a made one says whose it is', async () => {
  const disk = new MemoryDisk()
  assert.deepEqual(await readIdentity(disk, DATA), { ok: true, value: undefined })
  const made = await createMember(disk, DATA, member, fill(disk))
  const read = await readIdentity(disk, DATA)
  assert.deepEqual(read, { ok: true, value: made })
  assert.deepEqual({ ...made, incarnation: 0n }, { ...member, incarnation: 0n, isRemoved: false })
  assert.equal((await disk.readFile(`${memberPaths(DATA).db}/file`)).toString(), 'content')
})

test('a crash while it is made leaves all of it or nothing, and it can be made again', async () => {
  const whole = new MemoryDisk()
  await createMember(whole, DATA, member, fill(whole))
  for (let atOperation = 1; atOperation <= whole.operations; atOperation++) {
    for (const choose of [KEEP_NOTHING, KEEP_ALL]) {
      const disk = new MemoryDisk()
      disk.fault = { atOperation, kind: 'crash' }
      await assert.rejects(createMember(disk, DATA, member, fill(disk)))
      const next = disk.crash(choose)
      const read = await readIdentity(next, DATA)
      assert.ok(read.ok, read.ok ? '' : `${disk.journal.at(-1)}: ${read.error}`)
      if (read.value === undefined) await createMember(next, DATA, member, fill(next))
      assert.equal((await next.readFile(`${memberPaths(DATA).db}/file`)).toString(), 'content')
    }
  }
})

test('a removed member stays removed, whenever the crash comes', async () => {
  const disk = new MemoryDisk()
  const made = await createMember(disk, DATA, member, fill(disk))
  const before = disk.operations
  await markRemoved(disk, DATA, made)
  const steps = disk.operations - before
  assert.ok(steps > 3)
  const read = await readIdentity(disk.crash(KEEP_ALL), DATA)
  assert.deepEqual(read, { ok: true, value: { ...made, isRemoved: true } })
  for (let step = 1; step <= steps; step++) {
    for (const choose of [KEEP_NOTHING, KEEP_ALL]) {
      const again = new MemoryDisk()
      const identity = await createMember(again, DATA, member, fill(again))
      again.fault = { atOperation: again.operations + step, kind: 'crash' }
      await assert.rejects(markRemoved(again, DATA, identity))
      const found = await readIdentity(again.crash(choose), DATA)
      assert.ok(found.ok && found.value?.memberId === member.memberId, 'the file is the old one or the new one, whole')
    }
  }
})

const damages: readonly [string, (text: string) => string, RegExp][] = [
  ['is no JSON', (text) => text.slice(0, 20), /identity\.json cannot be read/],
  ['is empty', () => '', /identity\.json cannot be read/],
  ['lacks a field', (text) => text.replace('memberId', 'member'), /memberId/],
  ['has an ID that is none', (text) => text.replace('"c1"', '"g1"'), /clusterId/],
  [
    'is of a later version',
    (text) => text.replace('"format": 2', '"format": 7').replace('memberId', 'memberUUID'),
    /cannot be read \(it is of format 7, and this version knows 2: start a later version here\)/,
  ],
]
for (const [title, change, words] of damages) {
  test(`a directory whose identity ${title} is refused in words`, async () => {
    const disk = new MemoryDisk()
    await createMember(disk, DATA, member, fill(disk))
    disk.damage(`${DATA}/member/identity.json`, (bytes) => Buffer.from(change(bytes.toString())))
    const read = await readIdentity(disk, DATA)
    assert.ok(!read.ok)
    assert.match(read.error, words)
  })
}

/** As versions before this one wrote it, and looked for it: those names, and IDs of that form. */
const FORMER_IDENTITY = {
  clusterId: '00000000000000c1',
  memberId: 'fedcba9876543210',
  incarnation: '0000000000001234',
  name: 'kv-0',
  isRemoved: false,
}
const IDENTITY_PATH = `${DATA}/member/identity.json`

async function formerDirectory(): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  await createMember(disk, DATA, member, fill(disk))
  disk.damage(IDENTITY_PATH, () => Buffer.from(JSON.stringify(FORMER_IDENTITY)))
  return disk
}

test('what versions before this one have written is read, and they can read it as long as the format is not noted', async () => {
  const disk = await formerDirectory()
  const expected = { ok: true, value: { ...member, isRemoved: false } }
  assert.deepEqual(await readIdentity(disk, DATA), expected)
  const before = disk.operations
  await noteFormat(disk, DATA)
  const steps = disk.operations - before
  for (let again = 0; again < 2; again++) {
    assert.deepEqual(await readIdentity(disk, DATA), expected)
    const file = JSON.parse((await disk.readFile(IDENTITY_PATH)).toString()) as object
    for (const name of Object.keys(FORMER_IDENTITY)) assert.ok(!(name in file), `${name} is where they look for it`)
    await noteFormat(disk, DATA)
  }
  assert.equal(disk.operations - before, steps, 'once')
  for (let step = 1; step <= steps; step++)
    for (const choose of [KEEP_NOTHING, KEEP_ALL]) {
      const crashing = await formerDirectory()
      crashing.fault = { atOperation: crashing.operations + step, kind: 'crash' }
      await assert.rejects(noteFormat(crashing, DATA))
      assert.deepEqual(await readIdentity(crashing.crash(choose), DATA), expected)
    }
})

test('data without an identity is refused, not taken for an empty directory', async () => {
  const disk = new MemoryDisk()
  await createMember(disk, DATA, member, fill(disk))
  await disk.remove(`${DATA}/member/identity.json`)
  const read = await readIdentity(disk, DATA)
  assert.ok(!read.ok)
  assert.match(read.error, /identity\.json is missing, but there is data beside it \(db, snap\)/)
})

test('a second member is never made over a first', async () => {
  const disk = new MemoryDisk()
  const first = await createMember(disk, DATA, member, fill(disk))
  await assert.rejects(createMember(disk, DATA, { ...member, memberId: MemberId(2n) }, fill(disk)))
  assert.deepEqual(await readIdentity(disk, DATA), { ok: true, value: first })
})
