/**
 * Maintenance.Downgrade. There is one storage format and no version to go back to, so a downgrade is validated as etcd
 * does, cancelled as when none is under way, and never enabled.
 */
import { err, ok } from '../../../lib/result.ts'
import type { NodePort } from '../../node/ports.ts'
import { DowngradeRequest_DowngradeAction as Action, DowngradeResponse } from '../../proto/generated/etcd/rpc.ts'
import type { DowngradeRequest } from '../../proto/generated/etcd/rpc.ts'
import { ETCD_API_VERSION } from '../../version.ts'
import { statusOf } from './errors.ts'
import type { Answer } from './method.ts'
import { header } from './responses.ts'

/** Major and minor, or all three parts with a suffix or none. */
const VERSION = /^(\d{1,9})\.(\d{1,9})(?:\.\d{1,9}(?:[-+][0-9A-Za-z.+-]*)?)?$/

function parseVersion(text: string): { readonly major: number; readonly minor: number } | undefined {
  const [, major, minor] = VERSION.exec(text) ?? []
  return major === undefined || minor === undefined ? undefined : { major: Number(major), minor: Number(minor) }
}

/** Of the API level that clients are told: etcd's storage has the minor version of its program. */
export function storageVersion(): string {
  return `${clusterVersion()}.0`
}

function clusterVersion(): string {
  return ETCD_API_VERSION.split('.').slice(0, 2).join('.')
}

export async function downgrade(node: NodePort, { action, version }: DowngradeRequest): Promise<Answer> {
  const target = parseVersion(version)
  const wanted = action === Action.VALIDATE || action === Action.ENABLE
  if (wanted && target === undefined)
    return err({ code: 'InvalidArgument', message: 'etcdserver: wrong downgrade target version format' })
  if (!wanted && action !== Action.CANCEL) return err({ code: 'Unknown', message: 'etcdserver: unknown method' })
  const barrier = await node.linearizableBarrier()
  if (!barrier.ok) return err(statusOf(barrier.error))
  const own = parseVersion(ETCD_API_VERSION)
  if (wanted && (target?.major !== own?.major || target?.minor !== (own?.minor ?? 0) - 1))
    return err({ code: 'InvalidArgument', message: 'etcdserver: invalid downgrade target version' })
  if (action === Action.ENABLE)
    return err({ code: 'Unimplemented', message: 'etcdserver: there is no earlier storage version to downgrade to' })
  return ok(DowngradeResponse.encode({ header: header(node), version: clusterVersion() }).finish())
}
