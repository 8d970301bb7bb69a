import { ANNOTATIONS, type RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject, KubeObject } from '../ports.ts'
import { metadata, names, TOKEN_KEY } from './names.ts'

export const TOKEN_SIZE_BYTES = 32

/**
 * What proves to members that a change comes from the operator. They read it again with each request, from a volume that the
 * kubelet brings up to date within about a minute. It does not for a Secret that is immutable: a lost one would never be
 * replaced for a pod that runs.
 */
export function adminToken(cluster: RaftCluster, random: Uint8Array): ApplyObject {
  const token = Buffer.from(random).toString('base64url')
  const { rotateAdminToken } = cluster.requests
  const annotations = rotateAdminToken === undefined ? {} : { [ANNOTATIONS.rotateAdminToken]: rotateAdminToken }
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...metadata(cluster, names.adminToken(cluster)), annotations },
    type: 'Opaque',
    data: { [TOKEN_KEY]: Buffer.from(token).toString('base64') },
  }
}

/** Empty where there is none. */
export function tokenIn(secret: KubeObject | undefined): string {
  const data = secret?.['data']
  const encoded: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, TOKEN_KEY) : undefined
  return typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString().trim() : ''
}

/** Lost, emptied, or to be another one. */
export function isTokenDue({ requests }: RaftCluster, secret: KubeObject | undefined): boolean {
  if (tokenIn(secret) === '') return true
  const { rotateAdminToken } = requests
  return (
    rotateAdminToken !== undefined && secret?.metadata.annotations?.[ANNOTATIONS.rotateAdminToken] !== rotateAdminToken
  )
}
