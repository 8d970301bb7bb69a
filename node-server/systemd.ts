/**
 * Tells systemd that the service is ready, for units with Type=notify, as etcd does. Its socket takes datagrams only,
 * which Node cannot send, so systemd's own program does it. Being another process, it needs NotifyAccess=all in a unit
 * whose user is not root.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const TIMEOUT_MS = 5000

/** Rejects when there is no systemd-notify, or it fails. */
export async function notifyReady(processId: number): Promise<void> {
  await promisify(execFile)('systemd-notify', ['--ready', `--pid=${processId}`], { timeout: TIMEOUT_MS })
}
