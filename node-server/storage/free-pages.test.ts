/** What LMDB's library does wrong with free pages, told in free-pages.ts, does not come to pass, and costs no content. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Table, Write } from '../mvcc/backend.ts'
import { seeded } from '../raft/testing/random.ts'
import { hashState } from '../mvcc/hash.ts'
import { Store } from '../mvcc/store.ts'
import { LmdbBackend, lmdbEngine } from './backend.ts'
import type { CopierWork } from './testing/backend-copier.ts'
import { applyUpTo } from './testing/backend-crash-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'raftkv-free-pages-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const put = (table: Table, index: number, sizeBytes: number): Write => {
  return { table, key: Buffer.from(`key ${String(index).padStart(8, '0')}`), value: Buffer.alloc(sizeBytes, index) }
}

const WAYS: readonly (readonly CopierWork[])[] = [
  ['copy', 'overwrite the copy'],
  ['copy and overwrite'],
  ['defragment and overwrite'],
]

for (const works of WAYS) {
  test(`a compacting copy takes a large commit as its first: ${works.join(', ')}`, { timeout: 60_000 }, async () => {
    const directory = mkdtempSync(join(folder, 'copy-'))
    for (const work of works) assert.equal(await outcome(work, directory), 'ended with 0')
  })
}

/** In a process of its own, because the library ended it. */
async function outcome(work: CopierWork, directory: string): Promise<string> {
  const script = join(import.meta.dirname, 'testing', 'backend-copier.ts')
  const child = spawn(process.execPath, [script, directory, work], { stdio: 'inherit' })
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return `ended with ${signal ?? code}`
}

test('opening a copy changes nothing of what it holds, and opening it once more changes no byte', async () => {
  const [path, copy] = [join(folder, 'opened'), join(folder, 'opened-copy')]
  const source = new Store(new LmdbBackend(path))
  applyUpTo(source, 120)
  await source.commit()
  const pinned = await source.backend.pin()
  await lmdbEngine.receive(copy, pinned.read())
  await pinned.release()
  const { inUseBytes } = source.size()
  const opened = async (): Promise<Buffer> => {
    const store = new Store(new LmdbBackend(copy))
    assert.equal(hashState(store), hashState(source))
    assert.equal(store.size().inUseBytes, inUseBytes)
    await store.close()
    return readFileSync(join(copy, '0.mdb'))
  }
  assert.deepEqual(await opened(), await opened())
  await source.close()
})

test('a large value that a commit writes and removes costs no page, while a scan holds all that are free', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = seeded(seed)
    const anySmall = (): Write => put('current', random.below(5000), 1 + random.below(300))
    const backend = new LmdbBackend(join(folder, `twice-${seed}`))
    for (let i = 0; i < 3; i++) await backend.commit(Array.from({ length: 200 }, anySmall))
    const scan = backend.scan('current', Buffer.of(0), undefined)[Symbol.iterator]()
    scan.next()
    const someSmall = (): readonly Write[] => Array.from({ length: 1 + random.below(60) }, anySmall)
    for (let i = 0; i < 5; i++) await backend.commit(someSmall())
    const large = put('history', 1, 9000)
    await backend.commit([...someSmall(), large, { ...large, value: undefined }])
    await (await backend.pin()).release()
    scan.return?.()
    await backend.close()
  }
})
