/** Where the Job of a backup may restore it: a directory of the pod's own, of a size that is the pod's, too. Pure. */
import { assert } from '../../lib/assert.ts'
import { parseQuantity } from '../../lib/quantity.ts'
import type { BackupSpec } from '../api/raft-backup.ts'
import type { PlaceAccess } from '../cluster/resources/place.ts'

const PATH = '/rehearsal'
const VOLUME = 'rehearsal'
/** The tool stops before the kubelet would evict its pod, and the result with it. */
const USABLE_SHARE = 0.95

export function rehearsalRoom(verify: BackupSpec['verify']): Pick<PlaceAccess, 'flags' | 'volumes' | 'mounts'> {
  if (verify === undefined) return { flags: [], volumes: [], mounts: [] }
  const bytes = parseQuantity(verify.sizeLimit)
  assert(bytes !== undefined, 'a size limit is a quantity')
  return {
    flags: [`--rehearse=${PATH}`, `--rehearse-bytes=${Math.max(1, Math.floor(bytes * USABLE_SHARE))}`],
    volumes: [{ name: VOLUME, emptyDir: { sizeLimit: verify.sizeLimit } }],
    mounts: [{ name: VOLUME, mountPath: PATH }],
  }
}
