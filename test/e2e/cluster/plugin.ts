/** kubectl raft as a user has it: copied out of the operator's image, and found by kubectl in PATH. */
import { writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { OPERATOR_NAMESPACE, RELEASE } from '../names.ts'
import type { Kube } from './kube.ts'

export type Raft = (...args: readonly string[]) => Promise<string>

export async function copyPlugin(kube: Kube, folder: string, namespace: string): Promise<Raft> {
  const copy = ['exec', `deployment/${RELEASE}`, '--', 'cat', '/app/kubectl-raft']
  const program = await kube.kubectl(['-n', OPERATOR_NAMESPACE, ...copy])
  writeFileSync(join(folder, 'kubectl-raft'), program, { mode: 0o755 })
  // It runs by the first Node in PATH.
  const PATH = [folder, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter)
  return (...args) => kube.kubectl(['raft', '--namespace', namespace, ...args], { env: { PATH } })
}
