/** The first arguments that make this program a tool instead of a member. Apart, so that a member loads nothing of them. */
export const TOOL_NAMES: readonly string[] = ['snapshot', 'check', 'dump', 'backup']

export function isTool(argument: string | undefined): boolean {
  return argument !== undefined && TOOL_NAMES.includes(argument)
}
