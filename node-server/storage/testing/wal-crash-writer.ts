/**
 * Appends until it is killed and prints the last index of each append once it has resolved; now and then it moves the base
 * up. Run as `node wal-crash-writer.ts <directory>` on a new folder or on what an earlier run left.
 */
import { argv, stdout } from 'node:process'
import { writeSync } from 'node:fs'
import { ClusterId, LogIndex, MemberId, NOBODY, Term } from '../../../lib/ids.ts'
import type { Entry } from '../../raft/message.ts'
import { realDisk } from '../disk.ts'
import { Wal } from '../wal.ts'
import { replay } from '../wal-replay.ts'

const directory = argv[2] ?? ''
const options = { segmentSizeBytes: 64 * 1024, preparedSizeBytes: 16 * 1024, onSync: (): void => undefined }
const found = await replay(realDisk, directory)
const state = {
  identity: { clusterId: ClusterId(1n), memberId: MemberId(2n), incarnation: 3n },
  base: { index: LogIndex(1), term: Term(1) },
  hardState: { term: Term(1), vote: NOBODY, commit: LogIndex(1) },
}
const wal = found.ok
  ? await Wal.resume(realDisk, directory, found.value, options)
  : await Wal.create(realDisk, directory, state, options)
const base = found.ok ? found.value.state.base.index : 1
let next = base + 1 + (found.ok ? found.value.entries.length : 0)

for (let round = 1; ; round++) {
  const entries: Entry[] = []
  for (let i = 0; i <= round % 7; i++) {
    const data = Buffer.alloc(100 + ((next * 37) % 900), next % 251)
    entries.push({ term: Term(1), index: LogIndex(next++), kind: 'normal', data })
  }
  await wal.append({ term: Term(1), vote: NOBODY, commit: LogIndex(next - 1) }, entries, true)
  writeSync(stdout.fd, `${next - 1}\n`)
  if (round % 50 === 0) await wal.setBase({ index: LogIndex(next - 20), term: Term(1) })
}
