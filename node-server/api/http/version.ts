/** /version: etcd's three, and what runs here in truth. */
import type { HttpResponse } from '../../../lib/http-exchange.ts'
import { VERSION } from '../../../lib/version.ts'
import { ETCD_API_VERSION, ETCD_CLUSTER_VERSION } from '../../version.ts'
import { sendJson } from './answer.ts'

export function sendVersion(response: HttpResponse): void {
  const versions = {
    etcdserver: ETCD_API_VERSION,
    etcdcluster: ETCD_CLUSTER_VERSION,
    storage: ETCD_CLUSTER_VERSION,
    raftkv: VERSION,
  }
  sendJson(response, 200, JSON.stringify(versions))
}
