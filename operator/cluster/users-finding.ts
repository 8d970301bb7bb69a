/** The condition AuthReady. Pure. */
import { ROOT } from '../api/auth.ts'
import type { Finding } from '../api/conditions.ts'
import type { Observed, UsersProblem } from './observed.ts'
import type { UserStep } from './ports.ts'
import { wantedAuth } from './rules/users.ts'

/** None where nothing is declared and nothing was. */
export function usersFinding(
  { cluster, users, usersProblem }: Observed,
  steps: readonly UserStep[] | undefined,
  failure: UsersProblem | undefined,
): readonly Finding[] {
  const finding = (status: Finding['status'], reason: string, message: string): readonly Finding[] => [
    { type: 'AuthReady', status, reason, message },
  ]
  const auth = wantedAuth(cluster)
  if (auth === undefined) {
    const isTold = cluster.recorded.conditions.some(({ type }) => type === 'AuthReady')
    return isTold ? finding('False', 'NotDeclared', 'spec.auth is not given') : []
  }
  const problem = failure ?? usersProblem
  if (problem !== undefined) return finding('False', problem.reason, problem.message)
  if (users === undefined) return finding('Unknown', 'NoLeader', 'users and roles cannot be read without a leader')
  const owners = [
    ...(auth.enabled ? [ROOT] : []),
    ...auth.users.filter((user) => !user.certificateOnly).map(({ name }) => name),
  ]
  const missing = owners.filter((name) => (users.secrets.get(name) ?? '') === '')
  if (missing.length > 0)
    return finding('False', 'PasswordMissing', `no Secret has the password of ${missing.slice(0, 8).join(', ')}`)
  if (users.state !== undefined && steps?.length !== 0)
    return finding('False', 'ChangingUsers', 'users and roles are being brought in line with spec.auth')
  return finding(
    'True',
    'AsDeclared',
    `users and roles are as spec.auth says; authentication is ${users.isEnabled ? 'on' : 'off'}`,
  )
}
