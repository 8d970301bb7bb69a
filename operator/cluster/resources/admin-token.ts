import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject } from '../ports.ts'
import { metadata, names, TOKEN_KEY } from './names.ts'

export const TOKEN_SIZE_BYTES = 32

/** What proves to members that a change comes from the operator. Made once: running members hold it. */
export function adminToken(cluster: RaftCluster, random: Uint8Array): ApplyObject {
  const token = Buffer.from(random).toString('base64url')
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadata(cluster, names.adminToken(cluster)),
    type: 'Opaque',
    immutable: true,
    data: { [TOKEN_KEY]: Buffer.from(token).toString('base64') },
  }
}
