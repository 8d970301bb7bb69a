/**
 * A process that the library ended: it makes a store, goes on in a compacting copy of it, and overwrites a good part of it
 * in its first commit there. Arguments: a directory, and which of that it does.
 */
import { join } from 'node:path'
import { assert } from '../../../lib/assert.ts'
import type { Write } from '../../mvcc/backend.ts'
import { LmdbBackend, lmdbEngine } from '../backend.ts'

const KEYS = 20_000
/** The numbers of the pages that this frees fill more than half a page. */
const OVERWRITTEN_KEYS = 3000

export type CopierWork = 'copy' | 'overwrite the copy' | 'copy and overwrite' | 'defragment and overwrite'

async function carryOut(work: CopierWork, directory: string): Promise<void> {
  const copyPath = join(directory, 'copy')
  if (work === 'overwrite the copy') return overwrite(new LmdbBackend(copyPath))
  const backend = new LmdbBackend(join(directory, 'store'))
  await backend.commit(writes(KEYS, 1))
  if (work === 'defragment and overwrite') {
    await backend.defragment()
    return overwrite(backend)
  }
  const pinned = await backend.pin()
  await lmdbEngine.receive(copyPath, pinned.read())
  await pinned.release()
  if (work === 'copy and overwrite') await overwrite(new LmdbBackend(copyPath))
  await backend.close()
}

async function overwrite(backend: LmdbBackend): Promise<void> {
  await backend.commit(writes(OVERWRITTEN_KEYS, 2))
  const counts = [1, 2].map(
    (byte) => [...backend.scan('revisions', Buffer.of(0), undefined)].filter(({ value }) => value[0] === byte).length,
  )
  assert(counts[0] === KEYS - OVERWRITTEN_KEYS && counts[1] === OVERWRITTEN_KEYS, `${counts[0]} old, ${counts[1]} new`)
  await backend.close()
}

function writes(count: number, byte: number): readonly Write[] {
  return Array.from({ length: count }, (_, i): Write => {
    return { table: 'revisions', key: Buffer.from(String(i).padStart(12, '0')), value: Buffer.alloc(300, byte) }
  })
}

const [, , directory, work] = process.argv
assert(directory !== undefined && work !== undefined, 'a directory and the work')
await carryOut(work as CopierWork, directory)
