/** A Secret of certificates. Pure. */
import { ANNOTATIONS, type RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject } from '../ports.ts'
import { BUNDLE_FILE } from '../tls/leaves.ts'
import { CHANGED_AT_ANNOTATION, metadata, names, type TlsSecret } from './names.ts'

export interface TlsSecretContent {
  /** PEM. */
  readonly trusted: readonly string[]
  /** Base64, by key. */
  readonly data: Readonly<Record<string, string>>
  /** Of the annotation that a CA answers. */
  readonly request?: string | undefined
  /** For applications, which report nothing and need time to follow. */
  readonly changedAt?: string
}

export function tlsSecret(
  cluster: RaftCluster,
  secret: TlsSecret,
  { trusted, data, request, changedAt }: TlsSecretContent,
): ApplyObject {
  const annotations = {
    ...(request !== undefined && { [ANNOTATIONS.rotateAuthorities]: request }),
    ...(changedAt !== undefined && { [CHANGED_AT_ANNOTATION]: changedAt }),
  }
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      ...metadata(cluster, names.tls(cluster, secret)),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    type: 'Opaque',
    data: { ...data, [BUNDLE_FILE]: encoded(trusted.join('')) },
  }
}

export function encoded(text: string): string {
  return Buffer.from(text).toString('base64')
}
