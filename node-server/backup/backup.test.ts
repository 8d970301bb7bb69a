import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { listBackups, pruneBackups, readBackup, takeBackup } from './backup.ts'
import { segmentName } from './changes/chain.ts'
import { BackupFailed, type Destination } from './destination.ts'
import { Directory } from './directory.ts'
import { decodeManifest } from './manifest.ts'
import type { OpenSnapshot } from './source.ts'
import { MemoryDestination } from './testing/memory-destination.ts'

const DATABASE = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251))
const FILE = Buffer.concat([DATABASE, createHash('sha256').update(DATABASE).digest()])
const NOW = new Date('2026-11-29T12:00:00Z')
const HOUR_MS = 60 * 60 * 1000

function snapshot(revision: number, file = FILE): OpenSnapshot {
  // eslint-disable-next-line require-await -- the bytes are there at once
  const pieces = async function* (): AsyncGenerator<Buffer> {
    // The last piece is a part of the digest only, as any cut may be.
    for (const [from, to] of [
      [0, 32_768],
      [32_768, file.length - 7],
      [file.length - 7, file.length],
    ] as const)
      yield file.subarray(from, to)
  }
  return { clusterId: 'c1', memberId: 'a1', revision, version: '3.7.0', pieces: pieces() }
}

async function contentOf(backup: Parameters<typeof readBackup>[0], destination: Destination): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(readBackup(backup, destination)))
}

const names = (backups: Awaited<ReturnType<typeof listBackups>>): readonly string[] => backups.map(({ name }) => name)

test('a backup is listed once it is whole, and is read as it was taken: in memory and in a directory', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'raftkv-backup-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const destination of [new MemoryDestination(), new Directory(folder)]) {
    const taken = await takeBackup(snapshot(41), destination, NOW)
    assert.equal(taken.name, 'c1/20261129T120000Z-41')
    assert.deepEqual(await listBackups(destination), [taken])
    assert.deepEqual(await listBackups(destination, 'another'), [])
    assert.ok((await contentOf(taken, destination)).equals(FILE))
    const { databaseBytes, databaseSha256, storedBytes } = taken.manifest
    assert.deepEqual([databaseBytes, databaseSha256], [FILE.length, createHash('sha256').update(FILE).digest('hex')])
    assert.ok(storedBytes < FILE.length)
  }
  assert.deepEqual(await readdir(join(folder, 'c1', '20261129T120000Z-41')), ['manifest.json', 'snapshot.db.zst'])
})

test('a stream that was cut off or changed makes no backup, and leaves nothing', async () => {
  const changed = Buffer.from(FILE)
  changed[1234] = 0
  for (const file of [FILE.subarray(0, -1), FILE.subarray(0, 100_000), changed, FILE.subarray(0, 10)]) {
    const destination = new MemoryDestination()
    await assert.rejects(takeBackup(snapshot(41, file), destination, NOW), /snapshot that is not whole/)
    assert.equal(destination.objects.size, 0)
  }
})

test('a destination that fails at any piece makes no backup', async () => {
  for (let pieces = 0; ; pieces++) {
    const destination = new MemoryDestination()
    destination.piecesLeft = pieces
    const taken = await takeBackup(snapshot(41), destination, NOW).then(
      () => true,
      (error: unknown) => error instanceof BackupFailed && /full/.test(error.message),
    )
    assert.ok(taken)
    const backups = await listBackups(destination)
    if (backups.length === 0) assert.equal(destination.objects.size, 0, `after ${pieces} pieces`)
    else break
  }
})

test('what is not written as it was sent is found before the manifest is', async () => {
  for (const damage of [
    (bytes: Buffer) => bytes.subarray(0, -1),
    (bytes: Buffer) => Buffer.from(bytes.map((byte, i) => (i === 50 ? byte ^ 1 : byte))),
    () => Buffer.alloc(0),
  ]) {
    const destination = new MemoryDestination()
    const write = destination.write.bind(destination)
    destination.write = async (name, pieces) => {
      await write(name, pieces)
      destination.objects.set(name, damage(destination.objects.get(name) ?? Buffer.alloc(0)))
    }
    await assert.rejects(takeBackup(snapshot(41), destination, NOW), /is damaged|is not what was written/)
    assert.equal(destination.objects.size, 0)
  }
})

test('of a backup that was changed at any place nothing passes for whole', async () => {
  const destination = new MemoryDestination()
  const taken = await takeBackup(snapshot(41), destination, NOW)
  const stored = `${taken.name}/snapshot.db.zst`
  const whole = destination.objects.get(stored) ?? Buffer.alloc(0)
  for (let at = 0; at < whole.length; at += 1 + Math.floor(whole.length / 60)) {
    destination.objects.set(stored, Buffer.from(whole.map((byte, i) => (i === at ? byte ^ 0x10 : byte))))
    await assert.rejects(contentOf(taken, destination), BackupFailed, `byte ${at}`)
    destination.objects.set(stored, whole.subarray(0, at))
    await assert.rejects(contentOf(taken, destination), BackupFailed, `cut at ${at}`)
  }
})

test('retention keeps the newest; what failed ones left goes after a day', async () => {
  const destination = new MemoryDestination()
  for (let i = 0; i < 4; i++) await takeBackup(snapshot(i), destination, new Date(NOW.getTime() + i * HOUR_MS))
  await takeBackup({ ...snapshot(9), clusterId: 'c2' }, destination, NOW)
  destination.objects.set('c1/20261128T100000Z-7/snapshot.db.zst', Buffer.from('of a day before'))
  destination.objects.set('c1/20261129T100000Z-8/snapshot.db.zst', Buffer.from('perhaps under way'))
  const gone = await pruneBackups(destination, 'c1', { keep: 2, maxAgeMs: undefined }, NOW)
  assert.deepEqual(gone, ['c1/20261129T130000Z-1', 'c1/20261129T120000Z-0'])
  assert.deepEqual(names(await listBackups(destination)), [
    'c2/20261129T120000Z-9',
    'c1/20261129T140000Z-2',
    'c1/20261129T150000Z-3',
  ])
  const left = [...destination.objects.keys()].filter((name) => name.includes('T10'))
  assert.deepEqual(left, ['c1/20261129T100000Z-8/snapshot.db.zst'])
  const later = new Date(NOW.getTime() + 1000 * HOUR_MS)
  await pruneBackups(destination, 'c1', { keep: undefined, maxAgeMs: HOUR_MS }, later)
  assert.deepEqual(names(await listBackups(destination, 'c1')), ['c1/20261129T150000Z-3'], 'never the newest')
})

test('changes go with the last backup that they follow', async () => {
  const destination = new MemoryDestination()
  for (let i = 0; i < 3; i++) await takeBackup(snapshot(10 * i), destination, new Date(NOW.getTime() + i * HOUR_MS))
  const line = '20261129T120000Z'
  const segments = [0, 10, 20].map((after) =>
    segmentName('c1', { line, after, last: after + 10, fromMs: NOW.getTime() }),
  )
  for (const name of segments) destination.objects.set(name, Buffer.from('changes'))
  const changes = (): readonly string[] => [...destination.objects.keys()].filter((name) => name.startsWith('changes/'))
  await pruneBackups(destination, 'c1', { keep: 3, maxAgeMs: undefined }, NOW)
  assert.deepEqual(changes(), segments)
  await pruneBackups(destination, 'c1', { keep: 2, maxAgeMs: undefined }, NOW)
  assert.deepEqual(changes(), segments.slice(1))
})

test('a manifest of a later format, or that is none, is not read', async () => {
  const destination = new MemoryDestination()
  const { name } = await takeBackup(snapshot(41), destination, NOW)
  const text = String(destination.objects.get(`${name}/manifest.json`))
  assert.equal(decodeManifest(text)?.revision, 41)
  for (const other of [text.replace('"format": 1', '"format": 2'), text.slice(0, 40), '{}', text.replace('41', '-1')])
    assert.equal(decodeManifest(other), undefined)
})

test('a directory that is not there, or where nothing may be written, is told with what to do', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'raftkv-backup-'))
  t.after(() => rm(folder, { recursive: true }))
  await assert.rejects(new Directory(join(folder, 'none')).list(''), /cannot list: there is no such file or directory/)
  const file = join(folder, 'file')
  await writeFile(file, '')
  await assert.rejects(takeBackup(snapshot(1), new Directory(file), NOW), /cannot write c1.*: it is no directory/)
})
