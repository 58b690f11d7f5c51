export async function checkPlantedBugs(): Promise<boolean> {
  return false;
}
