/** Carries out what is decided about users and roles, step by step, up to the first that fails. I/O, but no decision. */
import { ROOT } from '../api/auth.ts'
import type { UsersProblem } from './observed.ts'
import type { Login } from './observe/users.ts'
import type { UserStep } from './ports.ts'

/** Undefined once all are done. */
export async function changeUsers(
  { users, url, token, passwords }: Login,
  steps: readonly UserStep[],
): Promise<UsersProblem | undefined> {
  for (const step of steps) {
    const password = 'user' in step ? (passwords.get(step.user) ?? '') : ''
    const result = await users.change(url, token, step, password)
    if (!result.ok) {
      const { kind, message } = result.error
      return {
        reason: kind === 'refused' ? 'MemberRefused' : 'MemberUnreachable',
        message: `${describeStep(step)}: ${message}`,
      }
    }
    if (step.kind !== 'enable') continue
    // The proof: from here on nobody gets in otherwise.
    const login = await users.login(url, ROOT, passwords.get(ROOT) ?? '')
    if (!login.ok && login.error.kind === 'refused')
      return { reason: 'LoginFailed', message: `authentication is on, and root is refused: ${login.error.message}` }
  }
  return undefined
}

/** Of a condition: what, to whom, and never a password. */
function describeStep(step: UserStep): string {
  const names = ['user' in step ? step.user : '', 'role' in step ? step.role : ''].filter((name) => name !== '')
  return [step.kind, ...names].join(' ')
}
