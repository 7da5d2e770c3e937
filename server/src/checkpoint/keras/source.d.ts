/** A script that the build has bundled, as text: for threads that start from it. */
declare module '*?source' {
  const source: string;
  export default source;
}
