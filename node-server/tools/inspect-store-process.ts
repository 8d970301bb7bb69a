/** Reads the store file that its one argument names and prints what was found: the other side of `inspectStore`. */
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LmdbBackend } from '../storage/backend.ts'
import { inspect, type InspectionAnswer } from './store-inspection.ts'

async function answer(path: string): Promise<InspectionAnswer> {
  const folder = await mkdtemp(join(tmpdir(), 'raftkv-inspect-'))
  try {
    // LMDB makes its lock file beside the name that it opens: this way it comes into a folder of ours.
    const alias = join(folder, 'store.mdb')
    await symlink(path, alias)
    const backend = new LmdbBackend(alias, { isReadOnly: true })
    const store = inspect(backend)
    await backend.close()
    return { store }
  } catch (error) {
    const reason = String(error).replaceAll(join(folder, 'store.mdb'), 'it')
    return { problem: `${path} is not a store that can be read: ${reason}` }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const [, , path = ''] = process.argv
process.stdout.write(`${JSON.stringify(await answer(path))}\n`)
